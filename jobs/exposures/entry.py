"""Landing as the entry and the command start it: everything opened and checked, the report kept beside the files."""

from conf.connections import KafkaConnection
from conf.environment import Environment
from conf.settings import Settings
from jobs.exposures.landing import Landing
from jobs.exposures.report import Report, known_runs
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from publish.connect.clients import check_broker
from publish.connect.topic_identity import TopicInspector
from publish.connect.watermarks import unread
from publish.exposures.topic import ExposureTopic
from publish.wire.keys import ProductKeys


def land(settings: Settings, environment: Environment) -> Report:
    """Lands the topic and keeps the report. Raises Damaged, LandingUnderWay, BrokerUnreachable, ConfigError."""
    kafka, store = _open(settings, environment)
    landed = Landing(store, kafka, settings).land()
    report = Report(store, landed.state, landed.lag, known_runs(kafka, settings.product), landed)
    store.write_report(report.data())
    return report


def look(settings: Settings, environment: Environment) -> Report:
    """Returns what is landed and what waits; changes nothing. Raises Damaged, BrokerUnreachable, ConfigError."""
    kafka, store = _open(settings, environment)
    state = store.state()
    topic = ExposureTopic(kafka, ProductKeys(settings.product).exposures_topic)
    identity = TopicInspector(kafka, topic.name).identify()
    positions = state.positions if state.topic_id == identity.id else {}
    lag = unread(topic.bounds(identity.partitions), positions)
    return Report(store, state, lag, known_runs(kafka, settings.product))


def _open(settings: Settings, environment: Environment) -> tuple[KafkaConnection, LandingStore]:
    kafka = environment.need_kafka()
    check_broker(kafka)
    return kafka, LandingStore.of(Storage(environment.home), settings.product)
