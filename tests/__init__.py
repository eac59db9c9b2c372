"""All tests. A package of its own, because gmqtt installs one of this name, which would come before a mere folder."""
