"""Concrete return types for methods that are written once, as generics, for several clients.

Type checkers substitute type variables by themselves; `help()` and Sphinx read annotations.
"""

import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeVar, get_args, get_origin


class ConcreteMethods:
    """A base of generic classes whose subclasses' methods show their own return types."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Copies inherited methods that return a type variable this class substitutes."""
        super().__init_subclass__(**options)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin: Any = get_origin(base)
            parameters: tuple[Any, ...] = getattr(origin, "__parameters__", ())
            pairs = zip(parameters, get_args(base), strict=False)
            results = {parameter: result for parameter, result in pairs if parameter is not result}
            if results:
                _substitute(cls, origin, results)


def _substitute(cls: type, origin: type, results: Mapping[Any, Any]) -> None:
    """Copies the methods of `origin` that return a key of `results` to `cls`."""
    seen = set(cls.__dict__)
    for owner in origin.__mro__:
        for name, method in vars(owner).items():
            if name not in seen and isinstance(method, FunctionType):
                result = method.__annotations__.get("return")
                if isinstance(result, TypeVar) and result in results:
                    setattr(cls, name, _returning(results[result], method, cls.__name__))
        seen.update(vars(owner))


def _returning(result: Any, method: FunctionType, owner: str) -> FunctionType:
    """Returns a copy of a method with another annotation of its result."""
    copy = FunctionType(
        method.__code__,
        method.__globals__,
        method.__name__,
        method.__defaults__,
        method.__closure__,
    )
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__dict__.update(method.__dict__)
    copy.__doc__ = method.__doc__
    copy.__module__ = method.__module__
    copy.__qualname__ = f"{owner}.{method.__name__}"
    copy.__annotations__ = {**method.__annotations__, "return": result}
    signature: inspect.Signature | None = method.__dict__.get("__signature__")
    if signature is not None:
        copy.__dict__["__signature__"] = signature.replace(return_annotation=result)
    return copy
