"""The sandbox for people: a Kommo board, Xero's invoices, what was sent and came, faults and limits. On the control port, beside /_sandbox.

site      puts the pages together; the first page, traffic and faults are its own
paper     what every page is written with: layout, messages, amounts and times as people read them
meanings  each setting in a sentence, its choices, and how sure the reference sheets are

Each vendor brings its own pages, which do what people do there: kommo/pages.py, xero/pages.py. A page that a vendor shows on its own
port (consent) takes its looks from templates/frame.html and static/.

All of it works without JavaScript. With it (static/live.js), a page asks for itself every second and changes what has changed, forms that
are being filled in excepted.
"""
