"""What a user can set of each cache."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from wancore.plugins.inputs import ParameterModel
from wancore.sampling.parameters import Numbers
from wancore_caching.tables import Embedding, Experts, magnitudes, polynomials

RULE = "which code decides: the authors', or ComfyUI-WanVideoWrapper's (only to reproduce its results)"
OFFLOAD = "keep residuals in host memory: saves a token tensor per pass on the GPU"

Rule = Literal["upstream", "wrapper"]


def known(table: str, tables: list[str]) -> str:
    if table not in tables:
        raise ValueError(f"one of {', '.join(tables)}")
    return table


class TeaCacheParameters(ParameterModel):
    threshold: float = Field(0.2, ge=0, description="change of the embedding that may add up; 0: never skip")
    table: str | None = Field(
        None,
        description="the model whose polynomial rescales the change",
        json_schema_extra={"enum": [None, *polynomials()]},
    )
    coefficients: Numbers | None = Field(
        None, description="a polynomial in place of a table's, highest power first"
    )
    rescaled: bool = Field(True, description="rescale the change by a polynomial; without one e0 is compared")
    embedding: Embedding = Field(
        "e", description="what is compared: e, the time embedding, or e0, its projection for the blocks"
    )
    start_step: int | None = Field(
        None, ge=0, description="first step that may be skipped; none: 1 with e, 5 with e0"
    )
    end_step: int | None = Field(
        None,
        ge=0,
        description="last step that may be skipped; none: the last but one with e, the last with e0",
    )
    rule: Rule = Field("upstream", description=RULE)
    offload: bool = Field(False, description=OFFLOAD)

    @field_validator("table")
    @classmethod
    def known_table(cls, table: str | None) -> str | None:
        return table if table is None else known(table, list(polynomials()))

    @model_validator(mode="after")
    def one_polynomial(self) -> TeaCacheParameters:
        given = (self.table is not None) + (self.coefficients is not None)
        if given != int(self.rescaled):
            raise ValueError(
                "either a table or coefficients while rescaled is true, neither otherwise; tables: "
                + ", ".join(polynomials())
            )
        return self

    @property
    def polynomial(self) -> tuple[float, ...]:
        """Coefficients, highest power first."""
        if self.table is not None:
            return polynomials()[self.table][self.embedding]
        return self.coefficients if self.coefficients is not None else (1.0, 0.0)


class MagCacheParameters(ParameterModel):
    table: str = Field(
        description="the model whose ratios are used", json_schema_extra={"enum": list(magnitudes())}
    )
    threshold: float | None = Field(
        None, ge=0, description="error that may add up; 0: never skip; none: the table's, 0.12 or 0.04"
    )
    longest: int = Field(2, ge=0, description="most steps in a row that are skipped (K)")
    retention: float = Field(
        0.2, ge=0, le=1, description="share of the run, at its beginning, that is never skipped"
    )
    experts: Experts | None = Field(
        None,
        description="where two experts share the run: t2v keeps the beginning of each, i2v all of the first"
        " and the beginning of the second; none: as the table says, else t2v",
    )
    start_step: int | None = Field(
        None,
        ge=0,
        description="with the wrapper's rule, not retention: first step it acts on; none: 1",
    )
    end_step: int | None = Field(
        None, ge=0, description="with the wrapper's rule: last step it acts on; none: the last"
    )
    rule: Rule = Field("upstream", description=RULE)
    offload: bool = Field(False, description=OFFLOAD)

    @field_validator("table")
    @classmethod
    def known_table(cls, table: str) -> str:
        return known(table, list(magnitudes()))

    @model_validator(mode="after")
    def one_range(self) -> MagCacheParameters:
        ranged = self.start_step is not None or self.end_step is not None
        if ranged and self.rule == "upstream":
            raise ValueError("start_step and end_step only with the wrapper's rule; use retention")
        return self


class EasyCacheParameters(ParameterModel):
    threshold: float = Field(0.05, ge=0, description="relative change that may add up; 0: never skip")
    start_step: int = Field(10, ge=0, description="first step that may be skipped")
    end_step: int | None = Field(
        None, ge=0, description="last step that may be skipped; none: the last but one"
    )
    offload: bool = Field(False, description="keep differences in host memory")
