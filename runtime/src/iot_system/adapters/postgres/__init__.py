"""The store in Postgres, by asyncpg."""
