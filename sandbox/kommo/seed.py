"""What an account starts with."""

from decimal import Decimal

from sandbox.kommo.nouns import INCOMING, LOST, WON, Account, Catalog, Element, FieldDef, Pipeline, Stage, User
from sandbox.kommo.state import State
from sandbox.kommo.values import plain

# whose long-lived token the integration holds, and who moves deals by hand
ADMIN_ID = 8_375_357
SALES_ID = 8_375_361
PRODUCTS_ID = 4_521

# pipelines of the seed "demo" with the stages that people made: (id, name)
SALES = (
    6_950_551,
    [(58_141_807, "New"), (58_141_811, "Offer"), (58_141_815, "Payment approved"), (58_141_819, "Invoiced in Xero")],
)
PROJECTS = (6_950_555, [(58_142_807, "Planned"), (58_142_811, "Running"), (58_142_815, "Handed over")])
PLAIN = (6_950_551, [(58_141_807, "Initial contact"), (58_141_811, "Discussions"), (58_141_815, "Decision making")])

PRODUCTS = [
    ("Consulting, hour", "SKU-CONS", "120", "hour"),
    ("Licence, month", "SKU-LIC", "49.9", "pc"),
    ("Workshop, day", "SKU-WORK", "850", "day"),
]


def fill(state: State, seed: str) -> None:
    """`demo`: two pipelines, products, two lead fields. `empty`: what every new account has."""
    with state.lock:
        state.clear()
        state.account = Account(id=30_896_271, subdomain="acme")
        state.users |= {
            ADMIN_ID: User(ADMIN_ID, "Administrator", "admin@acme.example"),
            SALES_ID: User(SALES_ID, "Sales desk", "sales@acme.example", is_admin=False),
        }
        _predefined_fields(state)
        if seed == "demo":
            _demo(state)
        else:
            _add_pipeline(state, "Pipeline", PLAIN, sort=1)


def _demo(state: State) -> None:
    _add_pipeline(state, "Sales", SALES, sort=1)
    _add_pipeline(state, "Projects", PROJECTS, sort=2)
    state.fields.add(FieldDef(184_994, "leads", "Invoice currency", "text", sort=501))
    state.fields.add(FieldDef(184_996, "leads", "Services", "textarea", sort=502))
    now = state.clock.stamp()
    state.catalogs[PRODUCTS_ID] = Catalog(PRODUCTS_ID, "Products", "products", 10, now, ADMIN_ID)
    for name, sku, price, unit in PRODUCTS:
        add_product(state, name, Decimal(price), sku=sku, unit=unit)


def _add_pipeline(state: State, name: str, made: tuple[int, list[tuple[int, str]]], *, sort: int) -> None:
    pipeline_id, stages = made
    incoming = Stage(stages[0][0] - 4, "Incoming leads", 10, "#c1c1c1", INCOMING, is_editable=False)
    own = [Stage(stage_id, stage_name, number * 10) for number, (stage_id, stage_name) in enumerate(stages, start=2)]
    closed = [
        Stage(WON, "Closed - won", 10000, "#CCFF66", is_editable=False),
        Stage(LOST, "Closed - lost", 11000, "#D5D8DB", is_editable=False),
    ]
    everything = {stage.id: stage for stage in [incoming, *own, *closed]}
    state.pipelines[pipeline_id] = Pipeline(pipeline_id, name, sort, is_main=sort == 1, stages=everything)


def _predefined_fields(state: State) -> None:
    def add(field_id: int, entity: str, name: str, kind: str, code: str) -> FieldDef:
        return state.fields.add(FieldDef(field_id, entity, name, kind, code, sort=field_id % 100, is_predefined=True))

    add(178_382, "contacts", "Phone", "multitext", "PHONE")
    add(178_384, "contacts", "Email", "multitext", "EMAIL")
    add(178_386, "contacts", "Position", "text", "POSITION")
    add(178_402, "companies", "Phone", "multitext", "PHONE")
    add(178_404, "companies", "Email", "multitext", "EMAIL")
    add(178_406, "companies", "Web", "url", "WEB")
    add(178_408, "companies", "Address", "textarea", "ADDRESS")
    products = f"catalogs/{PRODUCTS_ID}"
    add(178_422, products, "SKU", "text", "SKU")
    add(178_424, products, "Price", "price", "PRICE")
    add(178_426, products, "Description", "textarea", "DESCRIPTION")
    units = add(178_428, products, "Unit", "select", "UNIT")
    units.options = state.fields.options(["pc", "hour", "day", "month"])
    add(178_430, products, "Special price", "price", "SPECIAL_PRICE_1")


def add_product(
    state: State, name: str, price: Decimal, *, sku: str = "", unit: str = "pc", description: str = ""
) -> Element:
    now = state.clock.stamp()
    element = Element(state.next_id(), PRODUCTS_ID, name, ADMIN_ID, ADMIN_ID, now, now)
    filled = {"SKU": sku, "PRICE": plain(price), "DESCRIPTION": description}
    for code, value in filled.items():
        definition = state.fields.by_code(f"catalogs/{PRODUCTS_ID}", code)
        if definition is not None and value:
            element.fields[definition.id] = [{"value": value}]
    units = state.fields.by_code(f"catalogs/{PRODUCTS_ID}", "UNIT")
    option = next((one for one in units.options if one.value == unit), None) if units else None
    if units is not None and option is not None:
        element.fields[units.id] = [{"value": option.value, "enum_id": option.id, "enum_code": option.code}]
    state.elements.setdefault(PRODUCTS_ID, {})[element.id] = element
    return element
