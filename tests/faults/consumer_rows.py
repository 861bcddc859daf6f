"""What happens to consumers, a function each."""

from __future__ import annotations

import time

from devservers.ports import wait_until
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA
from tests.faults.fault import Fault
from tests.faults.loss_worlds import DroppedWorld, RetentionWorld
from tests.faults.world import World

PAUSE = 2.0  # seconds of undisturbed work between two blows


def consumer_killed(world: World) -> None:
    """kill -9 at random moments while it works."""
    for _ in range(world.times(20)):
        world.progress()
        time.sleep(world.chance.uniform(0, 1.5))
        world.end_consumer(world.consumers[0], kill=True)
        world.start_consumer()


def clients_take_over(world: World) -> None:
    """One of each client in a group; killed in turn, and what it read is read by the other."""
    members = {client: world.start_consumer(client) for client in (KAFKA_PYTHON, LIBRDKAFKA)}
    for number in range(max(2, world.times(10))):
        client = (KAFKA_PYTHON, LIBRDKAFKA)[number % 2]
        world.progress_everywhere()
        time.sleep(world.chance.uniform(0, 1.5))
        world.end_consumer(members[client], kill=True)
        world.progress_everywhere()
        members[client] = world.start_consumer(client)


def consumer_terminated(world: World) -> None:
    """SIGTERM at random moments while it works."""
    for _ in range(world.times(20)):
        world.progress()
        time.sleep(world.chance.uniform(0, 1.0))
        world.end_consumer(world.consumers[0], kill=False)
        world.start_consumer()


def members_come_and_go(world: World) -> None:
    """One leaves and another joins, every 2 s."""
    world.progress()
    until = time.monotonic() + world.seconds(60)
    while time.monotonic() < until:
        world.start_consumer()
        time.sleep(1.0)
        world.end_consumer(world.chance.choice(world.consumers), kill=False)
        time.sleep(1.0)


def only_broker_restarted(world: World) -> None:
    """In good order, and killed."""
    for kill in (False, True):
        for _ in range(world.times(5)):
            world.progress()
            world.servers.restart_broker(world.servers.kafka.brokers[0], kill=kill)
            time.sleep(PAUSE)


def one_of_three_brokers_killed(world: World) -> None:
    """A different one each time; the two others go on meanwhile."""
    for broker in world.servers.kafka.brokers[: world.times(3)]:
        world.progress()
        broker.kill()
        time.sleep(world.seconds(5))
        broker.start()
        wait_until(lambda: world.servers.replicas_caught_up(world.topic), "all replicas", 120)


def primary_steps_down(world: World) -> None:
    """An election without a loss."""
    for _ in range(world.times(5)):
        world.progress()
        world.servers.step_down()
        time.sleep(PAUSE)


def primary_killed(world: World) -> None:
    """An election after a loss."""
    for _ in range(world.times(5)):
        world.progress()
        killed = world.servers.kill_primary()
        time.sleep(PAUSE)
        if killed is not None:
            killed.start()
        wait_until(world.servers.members_caught_up, "all members", 120)


def mongod_away(world: World) -> None:
    """Once stopped, once frozen: it keeps its connections and answers nothing."""
    [mongod] = world.servers.mongodb.members
    world.progress()
    mongod.stop()
    time.sleep(world.seconds(60))
    mongod.start()
    world.progress()
    mongod.freeze()
    time.sleep(world.seconds(65))
    mongod.thaw()


def broker_frozen(world: World) -> None:
    """It keeps its connections and answers nothing, while messages and dead letters are on their way."""
    [broker] = world.servers.kafka.brokers
    world.progress()
    broker.freeze()
    try:
        time.sleep(world.seconds(45))
    finally:
        broker.thaw()


def database_dropped(world: DroppedWorld) -> None:
    """The whole database, in the middle of its inserts."""
    for _ in range(world.times(5)):
        world.progress()
        world.drop_database()
        time.sleep(PAUSE)


def store_codes(world: World) -> None:
    """Each insert is answered with an error that passes by itself."""
    for code in (215, 16500, 264):
        world.progress()
        with world.servers.failing_writes(code):
            time.sleep(world.seconds(5))


def retention(world: RetentionWorld) -> None:
    """It removes what a drain has not read yet; a consumer reads the rest."""
    world.overtaken_drain()
    world.start_consumer()


def bad_messages(world: World) -> None:
    """Nothing but the messages themselves."""
    time.sleep(world.seconds(30))


def everything(world: World) -> None:
    """All of the above, in a random order, one broker and one member down at a time."""
    until = time.monotonic() + world.seconds(180)
    servers = world.servers

    def consumer_ends() -> None:
        world.end_consumer(world.chance.choice(world.consumers), kill=world.chance.random() < 0.5)
        world.start_consumer()

    def broker_ends() -> None:
        servers.restart_broker(servers.any_broker(world.chance), kill=world.chance.random() < 0.5)
        wait_until(lambda: servers.replicas_caught_up(world.topic), "all replicas", 120)

    def primary_ends() -> None:
        primary_killed_once = servers.kill_primary()
        if primary_killed_once is not None:
            primary_killed_once.start()
        wait_until(servers.members_caught_up, "all members", 120)

    blows = [consumer_ends, consumer_ends, broker_ends, servers.step_down, primary_ends]
    while time.monotonic() < until:
        world.chance.choice(blows)()
        time.sleep(world.chance.uniform(0.5, PAUSE))


CONSUMER_FAULTS = {
    "consumer-killed": Fault("consumer killed with -9, 20 times", consumer_killed, expected_seconds=200),
    "both-clients": Fault(
        "a consumer with kafka-python and one with librdkafka in one group, killed with -9 in turn, 10 times",
        clients_take_over,
        consumers=0,
        expected_seconds=480,  # at the longest, so that messages come as long as members are killed
    ),
    "consumer-terminated": Fault("SIGTERM and restart, 20 times", consumer_terminated, expected_seconds=60),
    "members-come-and-go": Fault(
        "consumers joining and leaving a group of three, every 2 s for 60 s",
        members_come_and_go,
        consumers=3,
    ),
    "only-broker": Fault(
        "the only broker stopped and started, killed and started, 5 times each",
        only_broker_restarted,
        expected_seconds=90,
    ),
    "one-of-three-brokers": Fault(
        "one of three brokers killed, 3 times, a different one each", one_of_three_brokers_killed, servers=3
    ),
    "step-down": Fault("primary of three stepped down, 5 times", primary_steps_down, servers=3),
    "primary-killed": Fault("primary of three killed, 5 times", primary_killed, servers=3),
    "mongod-away": Fault("mongod stopped for 60 s, and frozen for 65 s", mongod_away, expected_seconds=125),
    "broker-frozen": Fault(
        "the only broker frozen for 45 s, with dead letters on their way",
        broker_frozen,
        expected_seconds=60,
        bad_share=0.011,
    ),
    "database-dropped": Fault(
        "the database dropped while written to, 5 times",
        database_dropped,
        DroppedWorld,
        expected_seconds=60,
    ),
    "store-codes": Fault(
        "each insert answered with 215, 16500 and 264, for 5 s each", store_codes, expected_seconds=30
    ),
    "retention": Fault(
        "retention overtaking a drain",
        retention,
        RetentionWorld,
        consumers=0,
        expected_seconds=30,
    ),
    "bad-messages": Fault(
        "1 % bad messages of every kind", bad_messages, expected_seconds=30, bad_share=0.011
    ),
    "everything": Fault(
        "everything at once, 3 minutes, two consumers",
        everything,
        servers=3,
        consumers=2,
        expected_seconds=180,
        bad_share=0.01,
    ),
}
