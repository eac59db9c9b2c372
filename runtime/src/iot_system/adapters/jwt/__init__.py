"""JSON Web Tokens of an identity provider (PyJWT)."""
