import pkgutil
from importlib import import_module

from token_authority_server import formats


def test_no_format_remembers_anything() -> None:
    # A cache of derived keys would keep certificates that were replaced.
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    assert len(names) >= 7
    for name in names:
        module = import_module(f"{formats.__name__}.{name}")
        assert [key for key, value in vars(module).items() if hasattr(value, "cache_info")] == []
