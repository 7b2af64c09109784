"""What invoice a deal gets, or what is missing for one."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.kommo.entities import Client
from integrations.xero.entities import Account, ContactDraft, Organisation, TaxRate, Terms
from tests.worker.builders import (
    CONTACT_ID,
    CURRENCY_FIELD,
    DEAL_URL,
    DUE_ON,
    ENTERED_ON,
    SERVICES_FIELD,
    TAX_FIELD,
    books,
    catalogue,
    company,
    filled,
    invoice,
    lead,
    linked,
    product,
    rules,
)
from worker.invoicing import Books, Drafted, ask, draft, total_remark
from worker.questions import Kind, Mend, Question
from worker.rounding import Totals

D = Decimal
CLIENT = company()


def judged(deal=None, client: Client | None = CLIENT, products=None, **changes: Any) -> Drafted | Question:
    usual: dict[str, Any] = {
        "contact": CONTACT_ID,
        "rules": rules(),
        "books": books(),
        "kommo_currency": "USD",
        "entered_on": ENTERED_ON,
        "terms": None,
        "deal_url": DEAL_URL,
    }
    return draft(deal or lead(), client, products or {}, **(usual | changes))


def drafted(deal=None, products=None, **changes: Any) -> Drafted:
    found = judged(deal, products=products, **changes)
    assert isinstance(found, Drafted), found
    return found


def asked(deal=None, client: Client | None = CLIENT, products=None, **changes: Any) -> Question:
    found = judged(deal, client, products, **changes)
    assert isinstance(found, Question), found
    return found


def test_a_deal_with_a_price_becomes_one_line():
    made = drafted().draft
    assert [(line.description, line.quantity, line.unit_amount) for line in made.lines] == [
        ("Website", D(1), D("1000.00"))
    ]


def test_the_invoice_carries_what_the_connection_says():
    made = drafted(rules=rules(status="DRAFT", line_amounts="Inclusive", tax_type="ZERORATED")).draft
    assert (made.status, made.line_amounts) == ("DRAFT", "Inclusive")
    assert (made.lines[0].account_code, made.lines[0].tax_type) == ("200", "ZERORATED")


def test_the_invoice_carries_our_marks():
    made = drafted().draft
    assert (made.url, made.reference) == (DEAL_URL, "Deal 7")


def test_a_known_client_is_sent_as_an_id_and_a_new_one_as_a_draft():
    new = ContactDraft("kommo:30896271:company:20", "Acme Ltd")
    assert drafted().draft.contact == CONTACT_ID
    assert drafted(contact=new).draft.contact == new


# --- the amount


def test_products_that_add_up_are_listed():
    deal = lead(price=D("1000"), products=(linked(1, "2"), linked(2)))
    found = drafted(deal, catalogue(product(1, "Design", "300"), product(2, "Hosting", "400")))
    assert [(line.description, line.quantity, line.unit_amount) for line in found.draft.lines] == [
        ("Design", D(2), D(300)),
        ("Hosting", D(1), D(400)),
    ]
    assert found.remarks == ()


def test_an_exact_price_that_differs_by_a_cent_wins_over_the_products():
    deal = lead(price=D("1000.01"), products=(linked(1),))
    found = drafted(deal, catalogue(product(1, "Design", "1000")))
    assert [line.unit_amount for line in found.draft.lines] == [D("1000.01")]
    assert found.remarks == (
        "The products add up to 1,000.00 USD and the deal's price is 1,000.01 USD: the price was invoiced as one line.",
    )


def test_a_truncated_price_gives_way_to_products_that_truncate_to_it():
    deal = lead(price=D(99), price_is_exact=False, products=(linked(1, "2"), linked(2)))
    found = drafted(deal, catalogue(product(1, "Design", "39.95"), product(2, "Hosting", "20.09")))
    assert [line.unit_amount for line in found.draft.lines] == [D("39.95"), D("20.09")]
    assert found.expected == Totals(D("99.99"), D("15.00"), D("114.99"))


def test_a_truncated_price_gives_way_though_rounding_lifts_the_sum_over_it():
    deal = lead(price=D(99), price_is_exact=False, products=(linked(1),))
    assert drafted(deal, catalogue(product(1, "Design", "99.9999"))).draft.lines[0].unit_amount == D("99.9999")


def test_a_truncated_price_wins_over_products_that_truncate_to_another():
    deal = lead(price=D(99), price_is_exact=False, products=(linked(1),))
    found = drafted(deal, catalogue(product(1, "Design", "100.00")))
    assert [line.unit_amount for line in found.draft.lines] == [D("99.00")]


def test_an_exact_price_is_not_taken_for_a_truncated_one():
    deal = lead(price=D(99), price_is_exact=True, products=(linked(1),))
    assert drafted(deal, catalogue(product(1, "Design", "99.95"))).draft.lines[0].unit_amount == D("99.00")


def test_a_price_below_its_products_is_a_discount_and_wins():
    deal = lead(price=D(900), products=(linked(1),))
    assert drafted(deal, catalogue(product(1, "Design", "1000"))).draft.lines[0].unit_amount == D("900.00")


def test_a_deal_without_a_price_has_that_of_its_products():
    found = drafted(lead(price=D(0), products=(linked(1),)), catalogue(product(1, "Design", "250.50")))
    assert found.draft.lines[0].unit_amount == D("250.50")
    assert found.remarks == ("The deal has no price, so its products were invoiced: 250.50 USD.",)


def test_products_without_minor_units_and_a_price_below_one():
    deal = lead(price=D(0), price_is_exact=False, products=(linked(1, "3"),))
    found = drafted(deal, catalogue(product(1, "Sticker", "0.25")))
    assert (found.draft.lines[0].quantity, found.remarks) == (D(3), ())


@pytest.mark.parametrize(
    "gone", [{}, catalogue(product(1, "Design", "1000", is_deleted=True))], ids=["absent", "deleted"]
)
def test_a_product_that_left_the_list_leaves_the_price_as_one_line(gone):
    found = drafted(lead(products=(linked(1),)), gone)
    assert [(line.description, line.unit_amount) for line in found.draft.lines] == [("Website", D("1000.00"))]
    assert found.remarks == (
        "A product of the deal is no longer in the products list, so its price of 1,000.00 USD was invoiced as one line.",
    )


def test_without_a_price_a_product_that_left_the_list_is_a_question():
    question = asked(lead(price=D(0), products=(linked(1), linked(2))), products=catalogue(product(1, "Design", "10")))
    assert (question.kind, question.mend) == (Kind.NO_AMOUNT, Mend.LEAD)
    assert "no longer in the products list" in question.sentence


def test_a_product_that_costs_nothing_is_listed_too():
    deal = lead(products=(linked(1), linked(2), linked(3)))
    stock = catalogue(product(1, "Design", "1000"), product(2, "Sticker", "0"), product(3, "Advice", None))
    assert [line.unit_amount for line in drafted(deal, stock).draft.lines] == [D(1000), D(0), D(0)]


def test_without_a_price_a_product_that_has_none_either_is_a_question():
    stock = catalogue(product(1, "Design", "10"), product(2, "Advice", None))
    question = asked(lead(price=D(0), products=(linked(1), linked(2))), products=stock)
    assert (
        question.sentence == 'The deal has no price, and neither has its product "Advice". Fill in the price, please.'
    )


def test_the_link_may_name_another_of_the_prices():
    deal = lead(price=D(80), products=(linked(1, price_field_id=9),))
    stock = catalogue(product(1, "Design", "100", prices={8: D(100), 9: D(80)}))
    assert drafted(deal, stock).draft.lines[0].unit_amount == D(80)


def test_four_decimals_of_quantity_and_price_are_kept():
    deal = lead(price=D("2.61"), products=(linked(1, "2.1255"),))
    made = drafted(deal, catalogue(product(1, "Cable", "1.2269"))).draft
    assert (made.lines[0].quantity, made.lines[0].unit_amount) == (D("2.1255"), D("1.2269"))


def test_a_quantity_too_fine_for_xero_does_not_change_the_price():
    """A third of 300 is 100, but 0.3333 of it is 99.99."""
    deal = lead(price=D(100), products=(linked(1, "0.3333333333"),))
    assert drafted(deal, catalogue(product(1, "Design", "300"))).draft.lines[0].unit_amount == D("100.00")


def test_a_price_is_cleared_of_the_dust_of_binary_fractions():
    assert drafted(lead(price=D("0.30000000000000004"))).draft.lines[0].unit_amount == D("0.30")


def test_a_rebate_among_the_products_is_a_negative_line():
    deal = lead(price=D(900), products=(linked(1), linked(2)))
    made = drafted(deal, catalogue(product(1, "Design", "1000"), product(2, "Rebate", "-100"))).draft
    assert [line.unit_amount for line in made.lines] == [D(1000), D(-100)]


def test_a_product_of_quantity_nothing_is_left_out():
    deal = lead(products=(linked(1), linked(2, "0")))
    stock = catalogue(product(1, "Design", "1000"), product(2, "Hosting", "5"))
    assert [line.description for line in drafted(deal, stock).draft.lines] == ["Design"]
    assert [line.description for line in drafted(deal, catalogue(product(1, "Design", "1000"))).draft.lines] == [
        "Design"
    ]


@pytest.mark.parametrize("price", ["0", "0.00", "0.004"])
def test_no_amount_is_a_question(price):
    question = asked(lead(price=D(price)))
    assert question == Question(
        Kind.NO_AMOUNT, Mend.LEAD, "The deal has no price. Fill it in, and the invoice follows."
    )


def test_products_that_come_to_nothing_are_no_amount():
    assert (
        asked(lead(price=D(0), products=(linked(1),)), products=catalogue(product(1, "Gift", "0"))).kind
        is Kind.NO_AMOUNT
    )


def test_a_negative_price_is_a_question():
    question = asked(lead(price=D("-50")))
    assert (question.kind, question.mend) == (Kind.NEGATIVE, Mend.LEAD)
    assert "-50.00 USD" in question.sentence


def test_more_than_xero_can_hold_is_a_question():
    assert drafted(lead(price=D("9999999999.99")))
    assert asked(lead(price=D("10000000000.00"))).kind is Kind.TOO_LARGE


def test_more_than_anybody_can_hold_is_a_question_too():
    deal = lead(price=D(0), products=(linked(1, "1e20"),))
    assert asked(deal, products=catalogue(product(1, "Design", "1e20"))).kind is Kind.TOO_LARGE
    assert asked(lead(price=D("1e30"))).kind is Kind.TOO_LARGE


@given(
    price=st.decimals(0, 100000, places=2),
    is_exact=st.booleans(),
    items=st.lists(
        st.tuples(st.decimals(0, 50, places=4), st.decimals(-100, 5000, places=4) | st.none(), st.booleans()),
        max_size=6,
    ),
)
def test_whatever_the_products_the_invoice_is_the_price_or_agrees_with_it(price, is_exact, items):
    deal = lead(
        price=price if is_exact else D(int(price)),
        price_is_exact=is_exact,
        products=tuple(linked(place, str(quantity)) for place, (quantity, _, _) in enumerate(items)),
    )
    stock = catalogue(
        *(
            product(place, f"P{place}", cost and str(cost), is_deleted=gone)
            for place, (_, cost, gone) in enumerate(items)
        )
    )
    found = judged(deal, products=stock)
    if isinstance(found, Question):
        assert found.kind in (Kind.NO_AMOUNT, Kind.NEGATIVE)
        return
    assert found.expected is not None
    net = found.expected.subtotal
    assert net > 0
    if is_exact and price:
        assert net == price
    elif int(price):
        assert abs(net - int(price)) <= 1


# --- what the lines say

# with lone surrogates, which JSON from outside may hold and UTF-8 can't
any_text = st.text(st.characters())


def test_the_description_of_services_is_what_a_single_line_says():
    deal = lead(fields=(filled(SERVICES_FIELD, "Design\r\n  and  hosting "),))
    assert (
        drafted(deal, rules=rules(description_field=SERVICES_FIELD)).draft.lines[0].description == "Design\nand hosting"
    )


def test_an_empty_description_falls_back_on_the_deals_name_and_then_its_number():
    described = rules(description_field=SERVICES_FIELD)
    assert drafted(rules=described).draft.lines[0].description == "Website"
    assert drafted(lead(name=" "), rules=described).draft.lines[0].description == "Deal 7"


def test_a_description_is_cut_to_what_xero_takes():
    text = drafted(lead(name="x" * 5000)).draft.lines[0].description
    assert (len(text), text[-1]) == (4000, "…")


def test_a_products_own_description_stands_under_its_name():
    deal = lead(products=(linked(1),))
    made = drafted(deal, catalogue(product(1, "Design", "1000", description="Three\n\x07drafts"))).draft
    assert made.lines[0].description == "Design\nThree\ndrafts"


def test_a_product_without_a_name_is_called_by_its_code_or_number():
    deal = lead(price=D(2), products=(linked(1), linked(2)))
    made = drafted(deal, catalogue(product(1, "", "1", sku="D-1"), product(2, " ", "1"))).draft
    assert [line.description for line in made.lines] == ["D-1", "Product 2"]


@given(name=any_text, description=any_text)
def test_any_text_makes_a_description_that_can_be_sent(name, description):
    deal = lead(name=name, fields=(filled(SERVICES_FIELD, description),))
    text = drafted(deal, rules=rules(description_field=SERVICES_FIELD)).draft.lines[0].description
    assert text.encode()
    assert len(text) <= 4000
    assert not any(ord(char) < 32 and char != "\n" for char in text)


# --- the client


def test_no_client_is_a_question_for_the_deal():
    question = asked(client=None)
    assert (question.kind, question.mend) == (Kind.NO_CLIENT, Mend.LEAD)


@pytest.mark.parametrize("name", ["", "  ", "<>"])
def test_a_client_without_a_name_is_a_question_for_the_client(name):
    question = asked(client=company(name=name))
    assert (question.kind, question.mend) == (Kind.NO_CLIENT_NAME, Mend.CLIENT)


def test_what_is_missing_is_known_before_the_client_is_looked_up():
    usual: dict[str, Any] = {"rules": rules(), "books": books(), "kommo_currency": "USD", "entered_on": ENTERED_ON}
    assert ask(lead(), CLIENT, {}, **usual) is None
    assert ask(lead(price=D(0)), CLIENT, {}, **usual) == asked(lead(price=D(0)))


# --- the currency


def test_the_currency_is_the_kommo_accounts():
    assert drafted().draft.currency == "USD"


def test_the_currency_on_the_deal_wins():
    deal = lead(fields=(filled(CURRENCY_FIELD, " eur "),))
    assert drafted(deal, rules=rules(currency_field=CURRENCY_FIELD)).draft.currency == "EUR"


def test_a_currency_that_is_no_code_is_a_question_for_the_deal():
    question = asked(lead(fields=(filled(CURRENCY_FIELD, "Euros"),)), rules=rules(currency_field=CURRENCY_FIELD))
    assert (question.kind, question.mend) == (Kind.CURRENCY_UNKNOWN, Mend.LEAD)
    assert question.sentence == '"EUROS" is not a currency code. Write one of three letters on the deal, such as NZD.'


def test_a_currency_that_xero_does_not_have_is_a_question_for_the_books():
    question = asked(kommo_currency="CHF")
    assert (question.kind, question.mend) == (Kind.CURRENCY_NOT_ENABLED, Mend.BOOKS)
    assert "CHF" in question.sentence


def test_the_base_currency_needs_not_be_listed():
    assert drafted(kommo_currency="NZD", books=books(currencies=frozenset())).draft.currency == "NZD"


# --- account and tax


@pytest.mark.parametrize(
    ("code", "kind"), [("999", Kind.ACCOUNT_UNKNOWN), ("299", Kind.ACCOUNT_ARCHIVED), ("090", Kind.ACCOUNT_UNSUITABLE)]
)
def test_an_account_that_can_not_be_booked_on_is_a_question_for_the_books(code, kind):
    question = asked(rules=rules(account_code=code))
    assert (question.kind, question.mend) == (kind, Mend.BOOKS)
    assert f'"{code}"' in question.sentence


def test_the_accounts_own_tax_is_the_default():
    assert drafted().draft.lines[0].tax_type == "OUTPUT2"
    assert drafted(rules=rules(account_code="260")).draft.lines[0].tax_type == "NONE"


def test_an_account_whose_tax_is_not_usable_leaves_it_to_xero():
    odd = {"200": Account("200", "Sales", is_active=True, kind="REVENUE", tax_type="OLD")}
    found = drafted(books=books(accounts=odd))
    assert (found.draft.lines[0].tax_type, found.expected) == (None, None)


def test_the_tax_on_the_deal_wins_and_may_be_said_by_name():
    taxed = rules(tax_field=TAX_FIELD, tax_type="OUTPUT2")
    assert drafted(lead(fields=(filled(TAX_FIELD, "Zero  rated"),)), rules=taxed).draft.lines[0].tax_type == "ZERORATED"
    assert drafted(lead(fields=(filled(TAX_FIELD, "none"),)), rules=taxed).draft.lines[0].tax_type == "NONE"
    assert drafted(rules=taxed).draft.lines[0].tax_type == "OUTPUT2"


@pytest.mark.parametrize("tax_type", ["VAT", "OLD", "INPUT2"])
def test_a_tax_that_sales_can_not_use_is_a_question(tax_type):
    question = asked(rules=rules(tax_type=tax_type))
    assert (question.kind, question.mend) == (Kind.TAX_UNKNOWN, Mend.BOOKS)
    on_deal = asked(lead(fields=(filled(TAX_FIELD, tax_type),)), rules=rules(tax_field=TAX_FIELD))
    assert (on_deal.kind, on_deal.mend) == (Kind.TAX_UNKNOWN, Mend.LEAD)


def test_without_tax_the_lines_say_so():
    found = drafted(rules=rules(line_amounts="NoTax", tax_type="OUTPUT2"))
    assert found.draft.lines[0].tax_type == "NONE"
    assert found.expected == Totals(D("1000.00"), D("0.00"), D("1000.00"))


def test_a_price_is_net_or_gross_as_the_connection_says():
    assert drafted().expected == Totals(D("1000.00"), D("150.00"), D("1150.00"))
    assert drafted(rules=rules(line_amounts="Inclusive")).expected == Totals(D("869.57"), D("130.43"), D("1000.00"))


# --- the dates


def test_the_invoice_is_dated_the_day_the_deal_entered_the_stage():
    made = drafted().draft
    assert (made.issued_on, made.due_on) == (ENTERED_ON, DUE_ON)


def test_the_clients_own_terms_win():
    assert drafted(terms=Terms(20, "OFFOLLOWINGMONTH")).draft.due_on == date(2026, 10, 20)


@pytest.mark.parametrize("lock", [ENTERED_ON, date(2026, 12, 31)])
def test_a_date_in_a_locked_period_is_a_question_for_the_books(lock):
    question = asked(books=books(lock_date=lock))
    assert (question.kind, question.mend) == (Kind.LOCKED_PERIOD, Mend.BOOKS)
    assert "14 September 2026" in question.sentence


def test_the_day_after_the_lock_is_open():
    assert drafted(books=books(lock_date=date(2026, 9, 13)))


def test_the_day_is_the_organisations():
    """Auckland is twelve hours ahead of UTC in winter, thirteen in summer."""
    assert books().day(datetime(2026, 9, 14, 11, 59, tzinfo=UTC)) == date(2026, 9, 14)
    assert books().day(datetime(2026, 9, 14, 12, 0, tzinfo=UTC)) == date(2026, 9, 15)
    assert books().day(datetime(2026, 12, 14, 11, 0, tzinfo=UTC)) == date(2026, 12, 15)


# --- the books


def organisation(**locks: Any) -> Organisation:
    return Organisation("id", "Acme Trading (NZ)", "NZD", "NZ", "Pacific/Auckland", **locks)


def read(organisation: Organisation) -> Books:
    rate = TaxRate("OUTPUT2", "15%", D(15), is_active=True, for_revenue=True)
    accounts = [
        Account("200", "Sales", is_active=True, kind="REVENUE", tax_type="OUTPUT2"),
        Account("", "Bank", is_active=True, kind="BANK", tax_type=""),
    ]
    return Books.of(organisation, currencies=["USD"], accounts=accounts, tax_rates=[rate])


def test_books_are_read_from_xeros_answers():
    found = read(organisation())
    assert found.currencies == frozenset({"USD", "NZD"})
    assert (list(found.accounts), found.rates) == (["200"], {"OUTPUT2": D(15)})
    assert found.lock_date is None


def test_the_later_of_two_locks_counts():
    found = read(organisation(period_lock_date=date(2026, 3, 31), year_lock_date=date(2025, 12, 31)))
    assert found.lock_date == date(2026, 3, 31)


# --- afterwards


def test_a_total_that_came_out_otherwise_is_said_on_the_deal():
    remark = total_remark(Totals(D("100.00"), D("15.01"), D("115.01")), invoice())
    assert remark is not None
    assert remark.startswith("The invoice in Xero comes to 115.00 NZD, the deal to 115.01 NZD.")


def test_a_total_that_came_out_as_drafted_is_not_spoken_of():
    assert total_remark(Totals(D("100.00"), D("15.00"), D("115.00")), invoice()) is None
    assert total_remark(None, invoice()) is None


# --- the sentences

LONG = "x" * 400


@pytest.mark.parametrize(
    "question",
    [
        asked(client=None),
        asked(client=company(name="")),
        asked(lead(price=D(0))),
        asked(lead(price=D("-9999999999999.99"))),
        asked(lead(price=D("10000000000.00"))),
        asked(lead(fields=(filled(CURRENCY_FIELD, LONG),)), rules=rules(currency_field=CURRENCY_FIELD)),
        asked(kommo_currency="CHF"),
        asked(rules=rules(account_code=LONG)),
        asked(rules=rules(account_code="299")),
        asked(rules=rules(account_code="090")),
        asked(rules=rules(tax_type=LONG)),
        asked(books=books(lock_date=date(2026, 12, 31))),
        asked(lead(price=D(0), products=(linked(1),)), products=catalogue(product(1, LONG, None))),
        asked(lead(price=D(0), products=(linked(1),))),
    ],
    ids=lambda question: question.kind,
)
def test_every_question_is_one_short_line(question):
    assert 20 < len(question.sentence) <= 250
    assert "\n" not in question.sentence
    assert question.sentence.endswith(".")
