"""Processes of every kind are killed at random while devices send and are pushed to (I4, I5, I12); `make chaos` does it for longer."""

from support.chaos import rage


def test_whatever_is_killed_every_acknowledged_message_is_answered_once_and_in_order(deploy):
    seed = 20_261_127
    counts = rage(deploy(), devices=20, seconds=20, seed=seed)
    print(counts)
    assert sum(counts["kills"].values()) >= 3, "nothing was killed"
    assert counts["acknowledged"] == counts["answered"] == counts["stored"]
    assert counts["pushed"] == counts["received"]
    assert counts["pushed"] >= 20, "hardly anything was pushed"
    assert counts["acknowledged"] >= 100, "hardly anything was sent"
    assert counts["connects"] > 20, "nobody was thrown out"
