"""The account's custom fields and their groups, found by id, code or name."""

import itertools

from sandbox.kommo.nouns import FieldDef, Group, Option
from sandbox.kommo.values import ADDRESS_PARTS, MULTITEXT


class FieldBook:
    def __init__(self) -> None:
        self._by_entity: dict[str, dict[int, FieldDef]] = {}
        self._by_code: dict[tuple[str, str], FieldDef] = {}
        self.groups: dict[str, dict[str, Group]] = {}
        self._option_ids = itertools.count(3_778_801)

    def of(self, entity: str) -> dict[int, FieldDef]:
        return self._by_entity.setdefault(entity, {})

    def by_code(self, entity: str, code: str) -> FieldDef | None:
        return self._by_code.get((entity, code))

    def find(self, entity: str, named: int | str) -> FieldDef | None:
        """By id, code or name."""
        fields = self.of(entity)
        if isinstance(named, int) or named.isdigit():
            return fields.get(int(named))
        return self.by_code(entity, named) or next((one for one in fields.values() if one.name == named), None)

    def add(self, definition: FieldDef) -> FieldDef:
        """Fixed options of phones, e-mails and addresses are filled in."""
        if definition.type == "multitext":
            definition.options = self.options(MULTITEXT[definition.code or "PHONE"], by_code=True)
        if definition.type == "smart_address":
            definition.options = [
                Option(number, code, number, code) for number, code in enumerate(ADDRESS_PARTS, start=1)
            ]
        self.of(definition.entity)[definition.id] = definition
        if definition.code:
            self._by_code[definition.entity, definition.code] = definition
        return definition

    def remove(self, definition: FieldDef) -> None:
        self.of(definition.entity).pop(definition.id, None)
        if definition.code:
            self._by_code.pop((definition.entity, definition.code), None)

    def options(self, texts: list[str], *, by_code: bool = False) -> list[Option]:
        return [
            Option(self.option_id(), text, number, text if by_code else None)
            for number, text in enumerate(texts, start=1)
        ]

    def option_id(self) -> int:
        return next(self._option_ids)

    def count(self) -> int:
        """How many that an account's plan counts: predefined ones and lists' fields are free."""
        counted = (self.of(entity).values() for entity in ("leads", "contacts", "companies"))
        return sum(not definition.is_predefined for definitions in counted for definition in definitions)

    def tabs(self, entity: str) -> dict[str, Group]:
        return self.groups.setdefault(entity, {"default": Group("default", entity, "Main", 0, is_predefined=True)})
