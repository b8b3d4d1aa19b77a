"""``python -m training``: train, promote, releases."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from opica.errors import OpicaError
from opica.products import load_product
from opica.releases import Catalogue

REPOSITORY = Path("model_repository")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and publish networks.")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="Triton's model repository")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a product's network and publish it as the next release")
    train.add_argument("product")
    train.add_argument("--data", type=Path, help="folder with manifest.csv (synthetic products: made when absent)")
    train.add_argument("--run", type=Path, help="folder of this run; the same folder resumes it")
    train.add_argument("--start", help='"imagenet", an .npz with VGG16 blocks 1-4, or a .weights.h5 of an earlier run')
    train.add_argument("--minutes", type=float, help="wall-clock budget, instead of the product's own")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override the training recipe")
    promote = commands.add_parser("promote", help="let a release decide (rolling back is promoting the older one)")
    promote.add_argument("release", help="such as te_head_v2")
    promote.add_argument("--alias", default="champion", help="champion decides, canary a share of it, shadow nothing")
    promote.add_argument("--share", type=float, help="of a canary: above 0 to 1")
    promote.add_argument("--why", required=True)
    commands.add_parser("releases", help="list releases and who decides")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    try:
        return {"train": run_train, "promote": run_promote, "releases": run_releases}[options.command](options)
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run_train(options: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from training.recipe import TrainingRecipe
    from training.train import describe, synthesise, train

    product = load_product(options.product)
    data = options.data or Path("data") / product.name
    if options.data is None and product.synthetic:
        synthesise(data)
    changes = dict(pair.split("=", 1) for pair in options.set)
    if options.minutes is not None:
        changes["minutes"] = str(options.minutes)
    recipe = TrainingRecipe.model_validate({**product.training, **changes})
    run = options.run or Path("runs") / product.name
    run.mkdir(parents=True, exist_ok=True)
    print(describe(train(product, data, run, recipe, options.start, options.repository)))
    return 0


def run_promote(options: argparse.Namespace) -> int:
    product = options.release.rsplit("_v", 1)[0]
    load_product(product)
    catalogue = Catalogue(options.repository)
    promotion = catalogue.promote(product, options.alias, options.release, getpass.getuser(), options.why, options.share)
    print(f"promote: product={promotion.product} alias={promotion.alias} release={promotion.release}")
    return 0


def run_releases(options: argparse.Namespace) -> int:
    catalogue = Catalogue(options.repository)
    aliases = catalogue.aliases()
    for release in catalogue.releases():
        names = [alias for alias, name in aliases.get(release.product, {}).items() if name == release.name]
        state = "damaged: " + ", ".join(catalogue.damaged(release)) if catalogue.damaged(release) else "intact"
        scores = " ".join(f"{c}={release.metrics[f'f1_int8_{c}']:.2f}" for c in release.classes[1:])
        print(f"{release.name:24} {','.join(names) or '-':10} {release.created:%Y-%m-%d} {state:8} {scores}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
