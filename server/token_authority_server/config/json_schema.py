"""The JSON Schema of the configuration file, for editors and for checks without a server."""

import json
from datetime import timedelta
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings
from token_authority_server.limits import Quota

# The newest that taplo understands, which completes and checks TOML in editors.
_DIALECT: Final = "http://json-schema.org/draft-04/schema#"
_UNITS_MS: Final = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def json_schema() -> dict[str, Any]:
    """Returns the schema; the descriptions are those of the settings' attributes.

    A file may match it and still be refused: rules about several keys are not part of it.
    """
    schema = Settings.model_json_schema(
        ref_template="#/definitions/{model}", schema_generator=_TomlSchema
    )
    definitions = schema.pop("$defs")
    schema = {"$schema": _DIALECT, **schema, "title": "token-authority.toml"}
    text = json.dumps({**schema, "definitions": definitions})
    one_line: dict[str, Any] = json.loads(text, object_hook=_on_one_line)
    return one_line


class _TomlSchema(GenerateJsonSchema):
    """Describes values as they are written in TOML, which has no null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if default is None or isinstance(default, (Section, Quota)):
            # The key is absent by default.
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return _duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # pydantic's parameter
        return False


def _duration(value: timedelta) -> str:
    """Writes a duration in the largest unit in which it is a whole number."""
    ms = value // timedelta(milliseconds=1)
    unit, size = next((unit, size) for unit, size in _UNITS_MS if ms % size == 0 or size == 1)
    return f"{ms // size}{unit}"


def _on_one_line(table: dict[str, Any]) -> dict[str, Any]:
    """Joins the lines of a description."""
    if isinstance(description := table.get("description"), str):
        table["description"] = " ".join(description.split())
    return table
