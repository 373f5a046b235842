"""A Kafka broker that wants TLS and a password, and grants each user what `deploy/kafka.acl` says."""

from collections.abc import Iterator
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from conf.connections import KafkaConnection
from deploy.chain import REPO
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.ports import LOOPBACK
from publish.connect.rights import Role
from tests.publish.support.certificates import Authority

LANDER = "lander"
"""Who lands exposures; in Kafka only."""
KAFKA_ROLES = (*map(str, Role), LANDER)
KAFKA_ACL_FILE = Path(REPO) / "deploy" / "kafka.acl"
_SECURE = """\
listeners=BROKER://{host}:{broker},CONTROLLER://{host}:{controller},SECURE://{host}:{secure}
advertised.listeners=BROKER://{host}:{broker},SECURE://{host}:{secure}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class SecureBroker(KafkaBroker):
    """Its plain listener is the administrator's; the users of the roles come by the other one."""

    port_count = 3

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self.authority = authority

    def connection(self, role: str, **changes: object) -> KafkaConnection:
        """How the user of a role gets in."""
        said = {
            "servers": f"{LOOPBACK}:{self.ports[2]}",
            "protocol": "SASL_SSL",
            "mechanism": "PLAIN",
            "username": str(role),
            "password": password_of(role),
            "ca_file": str(self.authority.ca_file),
        }
        return KafkaConnection.model_validate({**said, **changes})

    def grant(self, product: str) -> None:
        """Make the rules of a product."""
        self._make(list(_bindings(product)))

    def deny(self, role: str, topic: str, operation: AclOperation) -> None:
        """Take a right away that `grant` gave."""
        self._make([_binding(role, ResourceType.TOPIC, topic, operation, AclPermissionType.DENY)])

    def _make(self, bindings: list[AclBinding]) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_acls(bindings).values():
            future.result(180)

    def _properties(self) -> str:
        made = self.authority.sign("broker")
        keystore = self.folder / "keystore.pem"
        keystore.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
        users = " ".join(f'user_{role}="{password_of(role)}"' for role in KAFKA_ROLES)
        broker, controller, secure = self.ports
        return super()._properties() + _SECURE.format(
            host=LOOPBACK, broker=broker, controller=controller, secure=secure, users=users, keystore=keystore
        )


def password_of(role: str) -> str:
    return f"kafka-password-of-{role}"


def _bindings(product: str) -> Iterator[AclBinding]:
    for line in KAFKA_ACL_FILE.read_text().replace("PRODUCT", product).splitlines():
        if line.startswith("#") or not line:
            continue
        role, kind, name, operations = line.split()
        for operation in operations.split(","):
            allowed = AclOperation[operation.upper()]
            yield _binding(role, ResourceType[kind.upper()], name, allowed, AclPermissionType.ALLOW)


def _binding(
    role: str, kind: ResourceType, name: str, operation: AclOperation, permission: AclPermissionType
) -> AclBinding:
    return AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{role}", "*", operation, permission)
