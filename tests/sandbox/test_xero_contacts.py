"""Contacts and settings over HTTP (xero.md 6, 7)."""

from tests.sandbox.xero_office import Office, keys, messages, read

NOBODY = "00000000-0000-0000-0000-000000000000"
TAKEN = (
    "The contact name Acme Ltd is already assigned to another contact."
    " The contact name must be unique across all active contacts."
)
ARCHIVED = "The specified contact details matched an archived contact. Archived contacts cannot currently be edited via the API."


def add(xero: Office, **fields: object) -> dict[str, object]:
    made: dict[str, object] = xero.put("Contacts", {"Name": "Acme Ltd", **fields})["Contacts"][0]
    return made


def test_a_contact_has_the_recorded_shape(xero: Office):
    made = add(xero, EmailAddress="in@acme.example", IsCustomer=True)
    assert keys(made) == (
        "ContactID ContactStatus Name EmailAddress BankAccountDetails Addresses Phones UpdatedDateUTC ContactGroups"
        " IsSupplier IsCustomer SalesTrackingCategories PurchasesTrackingCategories ContactPersons HasValidationErrors"
    )
    assert made["IsCustomer"] is False
    phones, addresses = made["Phones"], made["Addresses"]
    assert isinstance(phones, list)
    assert isinstance(addresses, list)
    assert [each["PhoneType"] for each in phones] == ["DEFAULT", "DDI", "FAX", "MOBILE"]
    assert [each["AddressType"] for each in addresses] == ["STREET", "POBOX"]


def test_a_name_that_is_taken_is_refused_as_recorded(xero: Office):
    add(xero)
    phones = [{"PhoneType": "DEFAULT", "PhoneNumber": "12"}]
    asked = {"Name": "ACME ltd", "EmailAddress": "a@b.example", "IsCustomer": True, "Phones": phones}
    answer = xero.call("PUT", "Contacts", json={"Contacts": [asked]})
    assert answer.status_code == 400
    said = read(answer)
    assert keys(said["Elements"][0]) == (
        "ContactID Name EmailAddress Addresses Phones ContactGroups IsCustomer ContactPersons HasValidationErrors"
        " ValidationErrors"
    )
    assert said["Elements"][0]["ContactID"] == NOBODY
    assert said["Elements"][0]["IsCustomer"] is True
    assert messages(said["Elements"][0]) == [TAKEN.replace("Acme Ltd", "ACME ltd")]


def test_post_finds_by_id_number_or_name_and_keeps_the_rest(xero: Office):
    made = add(xero, ContactNumber="n-1", EmailAddress="in@acme.example")
    by_number = xero.put("Contacts", {"ContactNumber": "n-1", "Name": "Acme Limited"}, method="POST")["Contacts"][0]
    by_name = xero.put("Contacts", {"Name": "acme limited", "FirstName": "Ann"}, method="POST")["Contacts"][0]
    assert made["ContactID"] == by_number["ContactID"] == by_name["ContactID"]
    assert (by_name["EmailAddress"], by_name["FirstName"]) == ("in@acme.example", "Ann")
    assert xero.get("Contacts/n-1")["Contacts"][0]["ContactID"] == made["ContactID"]


def test_contacts_are_found_by_name_and_mail_without_case_and_accents(xero: Office):
    made = add(xero, Name="Café Noir", EmailAddress="In@Noir.example")
    for where in (
        'Name=="CAFE noir"',
        'EmailAddress=="in@noir.example"',
        'Name=="café noir" AND ContactStatus=="ACTIVE"',
    ):
        found = xero.get("Contacts", where=where)["Contacts"]
        assert [each["ContactID"] for each in found] == [made["ContactID"]], where
    assert xero.get("Contacts", searchTerm="noir", page="1")["Contacts"][0]["ContactID"] == made["ContactID"]
    assert xero.get("Contacts", where='Name=="nobody"')["Contacts"] == []


def test_an_archived_contact_frees_its_name_and_stays_shut(xero: Office):
    made = add(xero)
    path = f"Contacts/{made['ContactID']}"
    archived = read(xero.call("POST", path, json={"ContactStatus": "ARCHIVED"}))["Contacts"][0]
    assert archived["ContactStatus"] == "ARCHIVED"
    assert xero.get("Contacts", where='Name=="Acme Ltd"')["Contacts"] == []
    assert len(xero.get("Contacts", where='Name=="Acme Ltd"', includeArchived="true")["Contacts"]) == 1
    again = read(xero.call("POST", path, json={"FirstName": "Ann"}, params={"summarizeErrors": "false"}))["Contacts"][0]
    assert messages(again) == [ARCHIVED]
    assert add(xero)["ContactID"] != made["ContactID"]
    assert xero.errors(Contact={"ContactID": made["ContactID"]}) == [ARCHIVED]


def test_an_invoice_finds_or_makes_its_contact(xero: Office):
    first = xero.make(Contact={"Name": "New Ltd", "ContactNumber": "kommo:1"})["Contact"]
    assert first["IsCustomer"] is True
    for contact in ({"Name": "new ltd"}, {"ContactNumber": "kommo:1"}, {"ContactID": first["ContactID"]}):
        assert xero.make(Contact=contact)["Contact"]["ContactID"] == first["ContactID"]


def test_more_than_the_id_in_an_invoice_edits_the_contact(xero: Office):
    persons = [{"FirstName": "Ann", "EmailAddress": "ann@acme.example", "IncludeInEmails": True}]
    made = add(xero, ContactPersons=persons, EmailAddress="in@acme.example")
    only_id = xero.make(Contact={"ContactID": made["ContactID"]})["Contact"]
    assert only_id["ContactPersons"][0]["FirstName"] == "Ann"
    more = xero.make(Contact={"ContactID": made["ContactID"], "EmailAddress": "new@acme.example"})["Contact"]
    assert (more["EmailAddress"], more["ContactPersons"]) == ("new@acme.example", [])


def test_a_refused_invoice_leaves_no_contact(xero: Office):
    before = len(xero.books()["contacts"])
    assert xero.errors(Contact={"Name": "Never Ltd"}, CurrencyCode="CHF")
    assert len(xero.books()["contacts"]) == before


def test_a_taken_name_under_a_new_number_is_an_edit_or_refused_by_the_switch(xero: Office):
    made = add(xero, ContactNumber="theirs")
    taken = {"Name": "Acme Ltd", "ContactNumber": "ours"}
    assert xero.make(Contact=taken)["Contact"]["ContactID"] == made["ContactID"]
    xero.switch(inline_contact_name="refuse")
    assert xero.errors(Contact={"Name": "Acme Ltd", "ContactNumber": "others"}) == [TAKEN]


def test_an_unknown_contact_is_refused_or_missing_by_the_switch(xero: Office):
    stranger = {"ContactID": "11111111-1111-4111-8111-111111111111"}
    assert xero.errors(Contact=stranger) == ["An existing Contact with the specified ContactID could not be found"]
    xero.switch(unknown_contact="missing")
    answer = xero.call("PUT", "Invoices?summarizeErrors=false", json={"Type": "ACCREC", "Contact": stranger})
    assert answer.status_code == 404


def test_merged_contacts_point_to_their_heir(xero: Office):
    old, new = add(xero), add(xero, Name="Acme Holdings")
    invoice = xero.make(Contact={"ContactID": old["ContactID"]})
    xero.human(f"/contacts/{old['ContactID']}/merge", {"into": new["ContactID"]})
    shown = xero.get(f"Contacts/{old['ContactID']}")["Contacts"][0]
    assert (shown["ContactStatus"], shown["MergedToContactID"]) == ("ARCHIVED", new["ContactID"])
    assert xero.get(f"Invoices/{invoice['InvoiceID']}")["Invoices"][0]["Contact"]["ContactID"] == new["ContactID"]


def test_settings_are_there(xero: Office):
    organisation = xero.get("Organisation")["Organisations"][0]
    assert organisation["OrganisationID"] == xero.ready["xero_tenant_id"]
    assert (organisation["BaseCurrency"], organisation["Timezone"]) == ("NZD", "NEWZEALANDSTANDARDTIME")
    assert [each["Code"] for each in xero.get("Currencies")["Currencies"]] == ["NZD", "USD", "EUR", "GBP"]
    accounts = {each["Code"]: each for each in xero.get("Accounts")["Accounts"]}
    assert (accounts["200"]["Class"], accounts["299"]["Status"], accounts["090"]["Type"]) == (
        "REVENUE",
        "ARCHIVED",
        "BANK",
    )
    rates = {each["TaxType"]: each["EffectiveRate"] for each in xero.get("TaxRates")["TaxRates"]}
    assert {"OUTPUT2", "NONE", "ZERORATED", "OUTPUT"} <= rates.keys()
    assert rates["OUTPUT2"] == 15
    assert xero.get("Items/SUPPORT")["Items"][0]["SalesDetails"]["UnitPrice"] == 120
    assert xero.get("TrackingCategories")["TrackingCategories"][0]["Options"][0]["Name"] == "North"
    assert xero.get("BrandingThemes")["BrandingThemes"][0]["SortOrder"] == 1


def test_a_currency_can_be_subscribed_to(xero: Office):
    assert xero.errors(CurrencyCode="CHF")
    xero.human("/currencies", {"code": "CHF"})
    assert not xero.errors(CurrencyCode="CHF")


def test_people_enter_phones_too(xero: Office):
    made = xero.human("/contacts", {"name": "Phone Ltd", "email": "in@phone.example", "phone": "+64 9 123"})
    assert made["phones"] == {"DEFAULT": "+64 9 123"}
    assert xero.ask("/reset", {"seed": "nonsense"}).status_code == 400
