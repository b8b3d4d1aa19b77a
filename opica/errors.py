"""Every error of the project, one small tree.

OpicaError
├── BadInput            the sender's fault: never retried
│   ├── BadImage        not a photograph we can decode
│   ├── BadRecipe       overrides that are no recipe
│   ├── BadMessage      an AMQP body that breaks the schema
│   ├── UnknownProduct  no such product, or none served
│   ├── UnknownRelease  no such release of the product
│   └── ForbiddenPath   an image outside the allowed roots, or absent
├── Unavailable         ours: try again later (Triton or the broker away)
├── BrokenAnswer        Triton answered what breaks the contract: an alert, never a decision
├── BrokenRuntime       the serving runtime computes wrong values: refuse to start
├── DatasetError        a data set that cannot be used, with all its faults
└── ConfigurationError  a product, release or setting that cannot work

Library exceptions are translated at the edge (`raise … from error`); only the gateway knows status codes.
"""


class OpicaError(Exception):
    """Base of all. ``str(error)`` is fit to be shown to a user: what was wrong, where, what to do."""


class BadInput(OpicaError):
    """The request cannot be answered however often it is sent."""


class BadImage(BadInput):
    pass


class BadRecipe(BadInput):
    pass


class BadMessage(BadInput):
    pass


class UnknownProduct(BadInput):
    pass


class UnknownRelease(BadInput):
    pass


class ForbiddenPath(BadInput):
    pass


class Unavailable(OpicaError):
    """A part we need is not there now; the same request may succeed later."""


class BrokenAnswer(OpicaError):
    """What came back is no decision; it must not reach anybody who trusts it."""


class BrokenRuntime(OpicaError):
    pass


class DatasetError(OpicaError):
    pass


class ConfigurationError(OpicaError):
    pass
