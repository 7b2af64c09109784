"""How to speak to Kommo and to Xero: requests and Authlib live here, and no table and no queue."""
