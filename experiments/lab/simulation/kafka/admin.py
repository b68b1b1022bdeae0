"""kafka-python's admin client, over the broker in memory: the part of its interface that the services use."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka.errors import KafkaTimeoutError

from lab.simulation.kafka.broker import Broker
from lab.simulation.kafka.groups import Member
from lab.simulation.kafka.host import Host

SECONDS = 5.0  # the longest that a call waits


class Admin:
    """Makes topics, and looks at groups."""

    def __init__(self, host: Host, broker: Broker, **_: Any) -> None:
        self._host, self._broker = host, broker

    def _ask(self) -> None:
        if not self._host.reaches():
            self._host.sleep(SECONDS)
            if not self._host.reaches():
                raise KafkaTimeoutError("Kafka did not answer")

    def list_topics(self) -> list[str]:
        """Return the names of all topics."""
        self._ask()
        return list(self._broker.logs.partitions)

    def create_topics(self, topics: Mapping[str, Mapping[str, Any]], **_: Any) -> None:
        """Make topics. Raises TopicAlreadyExistsError."""
        self._ask()
        for name, shape in topics.items():
            self._broker.create(name, shape["num_partitions"])

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the partitions of topics."""
        self._ask()
        return [{"name": name, "partitions": self._broker.logs.partitions[name]} for name in names]

    def describe_groups(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the members of groups."""
        self._ask()
        groups = {name: self._broker.group(name) for name in names}
        return {
            name: {"members": [_described(member, knows=not group.rebalancing) for member in group.members.values()]}
            for name, group in groups.items()
        }

    def remove_group_members(self, group: str, members: Sequence[Any]) -> None:
        """Take members out of a group, by their ids or by their names."""
        self._ask()
        found = self._broker.group(group)
        for member in members:
            named = found.of_instance(member.group_instance_id)
            found.leave(named.id if named else member.member_id)

    def close(self) -> None:
        """Nothing is kept."""


def _described(member: Member, *, knows: bool) -> dict[str, Any]:
    topics: dict[str, list[int]] = {}
    for topic, number in member.assigned if knows else ():
        topics.setdefault(topic, []).append(number)
    assigned = [{"topic": topic, "partitions": numbers} for topic, numbers in topics.items()]
    return {
        "member_id": member.id,
        "group_instance_id": member.instance,
        "client_id": member.client_id,
        "member_assignment": {"assigned_partitions": assigned},
    }
