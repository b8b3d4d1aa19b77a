"""How a network is trained: the paper's recipe by default, a product's own [training] table over it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrainingRecipe(BaseModel):
    """Defaults are the paper's (section 2.3.2): Adam 1e-4, batch 4, cross-entropy, whole images,
    learning rate / 10 after 5 epochs without a lower validation loss (floor 1e-10), stop after 15.

    The shipped products override some of it in their TOML, each with its reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: float = Field(0.25, gt=0, description="factor on VGG16's filter counts")
    learning_rate: float = Field(1e-4, gt=0)
    schedule: str = Field("plateau", pattern="^(plateau|cosine)$", description="cosine falls to 0 over the minutes")
    batch: int = Field(4, gt=0)
    crop: tuple[int, int] | None = Field(None, description="height, width of crops; none: whole photographs")
    steps: int = Field(100, gt=0, description="batches an epoch")
    minutes: float = Field(60, gt=0, description="wall-clock budget of the fit")
    dice: float = Field(0.0, ge=0, description="weight of a soft Dice loss beside the cross-entropy")
    mixed_precision: bool = False
    flips: bool = False
    rotation: float = Field(0.0, ge=0, description="largest turn, degrees")
    scale: float = Field(0.0, ge=0, description="largest log-factor of size, each axis and both")
    brightness: float = Field(0.0, ge=0, description="largest shift, share of full scale")
    contrast: float = Field(0.0, ge=0, description="largest log-factor of contrast")
    cast: float = Field(0.0, ge=0, description="largest log-factor of each colour channel")
    blur: float = Field(0.0, ge=0, description="largest Gaussian sigma, pixels")
    noise: float = Field(0.0, ge=0, description="largest noise sigma, grey levels")
