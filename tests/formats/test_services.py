import pytest

from support.keys import APP_ID, CERTIFICATE
from token_authority.v1.access_token_pb2 import AccessTokenService
from token_authority_server.formats.access_token_007 import build_access_token_007
from token_authority_server.formats.service_packing import pack_service
from token_authority_server.formats.services import SERVICES, ServiceSpec
from token_authority_server.inspection.decode import decode

each_service = pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)


def test_the_table_has_the_services_of_the_contract() -> None:
    fields = AccessTokenService.DESCRIPTOR.fields
    assert [(spec.name, spec.number) for spec in SERVICES] == [
        (field.name, field.number) for field in fields
    ]


@each_service
def test_the_contract_has_a_lifetime_for_each_privilege(spec: ServiceSpec) -> None:
    message = AccessTokenService.DESCRIPTOR.fields_by_name[spec.name].message_type
    assert message
    lifetimes = [field.name for field in message.fields if field.name.endswith("_ttl")]
    # Chat and education name the privilege by their subject; FPA's has no lifetime.
    assert lifetimes == ([] if spec.name in ("chat", "education", "fpa") else [*spec.ttl_fields])


@each_service
def test_a_row_is_consistent(spec: ServiceSpec) -> None:
    assert spec.user in {"", *(field.name for field in spec.body)}
    assert {*spec.entries} <= {*spec.privileges}
    assert len({*spec.privileges.values()}) == len(spec.privileges)


@each_service
def test_inspection_reads_what_is_packed(spec: ServiceSpec) -> None:
    values = {"string": "x", "i16": 3, "permissions": ()}
    privileges = dict.fromkeys(spec.privileges.values(), 60)
    body = [values[field.type] for field in spec.body]
    token = build_access_token_007(
        app_id=APP_ID,
        app_certificate=CERTIFICATE,
        issued_at=1_700_000_000,
        expire_seconds=60,
        salt=1,
        services=[pack_service(spec, privileges, *body)],
    )
    found = {path: value for path, value, _ in decode(token).fields if path.startswith("services")}
    assert found == {
        "services[0].type": str(spec.number),
        **{f"services[0].privileges.{name}": "60" for name in spec.privileges},
        **{
            f"services[0].{field.name}": "3" if field.type == "i16" else "x"
            for field in spec.body
            if field.type != "permissions"
        },
    }


def test_a_body_needs_all_its_values() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pack_service(SERVICES[0], {}, "channel")
