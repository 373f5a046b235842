"""Rules of the code, each broken in one place: what `tests.publish.support.mutants` tries on a copy."""

from typing import NamedTuple

FAULTS = "tests/publish/faults/test_"
FATAL = f"{FAULTS}records.py::test_a_damaged_push_fails_and_changes_nothing"


class Mutant(NamedTuple):
    """A rule that is broken: a text of a file, what stands there instead, and tests that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "drop the fence",
        "publish/store/lua/load.lua",
        "if st[1] ~= 'LOADING' then",
        "if false then",
        (f"{FAULTS}records.py::test_records_that_come_after_a_run_serves_change_nothing",),
    ),
    Mutant(
        "no compare-and-swap of the position",
        "publish/store/lua/position.lua",
        "if (held[1] or '') ~= ARGV[1] or (held[2] or '') ~= ARGV[2] then",
        "if false then",
        (f"{FAULTS}rebalance.py::test_a_frozen_loader_wakes_up_when_another_has_taken_over",),
    ),
    Mutant(
        "commit before Lua",
        "publish/store/redis_store.py",
        '        load = self._scripts["load"]\n',
        '        load = self._scripts["load"]\n'
        "        for step, _ in steps:\n"
        '            self._call("skip", step, [run.layout.position(step.partition)], [0, 0])\n'
        "        steps = [(Step(step.partition, step.after, step.after), batch) for step, batch in steps]\n",
        (f"{FAULTS}redis_refusals.py::test_answers_of_redis_are_lost_for_a_while",),
    ),
    Mutant(
        "seek to the group's offset",
        "publish/load/loader.py",
        "OFFSET_BEGINNING if start is None else start)",
        "-1000)",
        (f"{FAULTS}redis_deaths.py::test_offsets_in_kafka_are_not_believed",),
    ),
    Mutant(
        "skip the read-back",
        "publish/store/verify.py",
        "        fault = _fault_of_erased(run, partition, erased) or _fault_of_lists(",
        "        fault = None and _fault_of_lists(",
        (
            f"{FAULTS}redis_refusals.py::test_lists_are_evicted_in_the_middle_of_a_load",
            f"{FAULTS}records.py::test_a_list_that_no_snapshot_may_hold_fails_even_when_it_was_announced_so",
        ),
    ),
    Mutant(
        "skip the digest",
        "publish/store/verify.py",
        "if found.hex != piece.digest:",
        "if False:",
        (f"{FAULTS}manifest_and_gates.py::test_an_announced_digest_of_other_lists",),
    ),
    Mutant(
        ">= for == in what arrived",
        "publish/store/verify.py",
        "if seen == count and highest == count - 1:",
        "if seen >= count - 1:",
        (f"{FATAL}[1-one_lost]", "tests/publish/store/test_verify.py::test_every_damage_is_found"),
    ),
    Mutant(
        ">= for == in END",
        "publish/runs/lifecycle.py",
        "if (end.count, end.digest) != (piece.count, piece.digest):",
        "if end.count < piece.count:",
        (f"{FATAL}[10-end_of_another_digest]",),
    ),
    Mutant(
        "ignore flush's return and the delivery reports",
        "publish/send/sender.py",
        "        if self.acknowledged != self._asked:",
        "        if False:",
        ("tests/publish/send/test_producer.py",),
    ),
    Mutant(
        "END before all is acknowledged",
        "publish/send/producer.py",
        "    sender.finish()\n    return sent",
        "    return sent",
        (f"{FAULTS}broker.py::test_an_error_that_does_not_pass_stops_the_run",),
    ),
    Mutant(
        "a failed delivery is none",
        "publish/send/sender.py",
        "        self._failures += 1\n        if self._failed is None and error is not None:",
        "        if False:",
        (f"{FAULTS}broker.py::test_an_error_that_does_not_pass_stops_the_run",),
    ),
    Mutant(
        "the position moves past letters that nobody confirmed",
        "publish/connect/confirmed_sender.py",
        "        if faults or left:",
        "        if False:",
        ("tests/publish/load/test_dead_letter_writer.py::test_an_unconfirmed_letter_is_an_error",),
    ),
    Mutant(
        "unreadable records do not count",
        "publish/runs/lifecycle.py",
        "        if poison := self.store.poison(run.announcement, partition):",
        "        if poison := 0:",
        (f"{FATAL}[13-tombstone]",),
    ),
    Mutant(
        "no compare of the same seq",
        "publish/store/lua/load.lua",
        "    fits = redis.call('HGET', key, user) == payload",
        "    fits = true",
        (f"{FATAL}[4-same_seq_other_value]",),
    ),
    Mutant(
        "any BEGIN opens an announced run",
        "publish/load/arrivals.py",
        "    if isinstance(mark, Begin) and mark.announcement != run.announcement.hash:",
        "    if False:",
        (f"{FAULTS}manifest_and_gates.py::test_a_forged_begin_of_an_announced_run",),
    ),
    Mutant(
        "a newer version's record is skipped",
        "publish/load/load_partition.py",
        "            if arrival.too_new and ours:",
        "            if False:",
        (f"{FAULTS}versions.py::test_an_old_loader_stops_at_a_record_that_it_does_not_know",),
    ),
    Mutant(
        "a recreated topic is not noticed",
        "publish/load/load_partition.py",
        "self._believed.topic_id == self._topic_id",
        "True",
        (f"{FAULTS}broker.py::test_the_topic_is_deleted_and_made_anew",),
    ),
    Mutant(
        "a FAILED run is not fenced",
        "publish/runs/registry.py",
        "        self.fence(run)\n        return self.get(run).state is RunState.FAILED",
        "        return self.get(run).state is RunState.FAILED",
        (f"{FATAL}[1-one_lost]",),
    ),
    Mutant(
        "Redis may be told to evict",
        "publish/runs/lifecycle.py",
        "        check_store(self.store.client, self._declared)\n\n",
        "        return None\n\n",
        (f"{FAULTS}redis_refusals.py::test_the_policy_is_changed_to_evict_in_the_middle_of_a_load",),
    ),
    Mutant(
        "an epoch is nobody's for good",
        "publish/load/run_cache.py",
        "        self._unknown_epochs.discard(epoch)",
        "        pass",
        (f"{FAULTS}redis_deaths.py::test_an_epoch_that_was_nobodys_is_given_out_again",),
    ),
    Mutant(
        "no compare-and-swap of the pointer",
        "publish/store/lua/swap.lua",
        "if (before and before.rev or 0) ~= tonumber(ARGV[1]) then",
        "if false then",
        ("tests/publish/runs/test_pointer.py::test_a_change_in_between_is_not_lost", f"{FAULTS}races.py"),
    ),
    Mutant(
        "a pointer without its entry in the history",
        "publish/store/lua/swap.lua",
        "write_down(pointer, ARGV[9], ARGV[10])",
        "",
        ("tests/publish/runs/test_history.py::test_the_history_is_what_was",),
    ),
    Mutant(
        "an entry is gone before Kafka has it",
        "publish/runs/pointer.py",
        "            log.append(self.keys.product, batches)\n            self.unsent.remove(entries)",
        "            self.unsent.remove(entries)\n            log.append(self.keys.product, batches)",
        ("tests/publish/runs/test_history.py::test_what_did_not_come_to_kafka_is_sent_by_the_next",),
    ),
    Mutant(
        "a sender takes away what another one did not send",
        "publish/runs/pointer_log.py",
        "                remove(self._key, 1, entry)",
        "                pipe.lpop(self._key)",
        ("tests/publish/runs/test_history.py::test_a_sender_takes_away_only_what_it_sent",),
    ),
    Mutant(
        "the loss of Redis is not written down",
        "publish/store/lua/restore.lua",
        "if ARGV[5] ~= '' then",
        "if false then",
        ("tests/publish/rebuilds/test_whole.py::test_what_served_serves_again_under_the_same_word",),
    ),
    Mutant(
        "the state of a run does not matter to the pointer",
        "publish/store/lua/swap.lua",
        "  if state ~= need[2] then",
        "  if false then",
        (f"{FAULTS}races.py::test_failing_a_run_races_promoting_it",),
    ),
    Mutant(
        "promote on hold",
        "publish/runs/promotion.py",
        "            if pointer.hold is not None:\n                raise",
        "            if False:\n                raise",
        (f"{FAULTS}races.py::test_a_hold_races_promotions",),
    ),
    Mutant(
        "promote an older run",
        "publish/runs/promotion.py",
        "        if candidate.epoch <= serving.epoch:",
        "        if False:",
        (f"{FAULTS}races.py::test_an_older_run_arrives_late",),
    ),
    Mutant(
        "promote what the gates did not pass",
        "publish/runs/promotion.py",
        "        if not candidate.gates_passed:",
        "        if False:",
        (f"{FAULTS}manifest_and_gates.py::test_a_gate_that_did_not_pass",),
    ),
    Mutant(
        "promote before the control is complete",
        "publish/runs/promotion.py",
        "            self._check_control(candidate)\n            before",
        "            before",
        ("tests/publish/runs/test_controls.py::test_a_treatment_waits_for_its_control",),
    ),
    Mutant(
        "roll back and leave the control",
        "publish/runs/promotion.py",
        '"control": run.control, ',
        "",
        ("tests/publish/runs/test_controls.py::test_rollback_goes_to_the_run_before_and_its_control",),
    ),
    Mutant(
        "clear what the pointer names",
        "publish/runs/registry.py",
        "self._step(run, RunState.RETIRED, after=before, reason=reason, never=POINTER_ROLES)",
        "self._step(run, RunState.RETIRED, after=before, reason=reason)",
        (f"{FAULTS}clearing.py::test_clearing_twice_and_what_is_needed",),
    ),
    Mutant(
        "clear what readers may still look at",
        "publish/runs/housekeeping.py",
        "if found.status.let_go is not None and self._clock()",
        "if False and self._clock()",
        (f"{FAULTS}clearing.py::test_a_reader_holds_the_old_pointer",),
    ),
    Mutant(
        "the reader trusts its pointer",
        "publish/read/rules.py",
        "        if payload is None:  # the run may have been replaced meanwhile",
        "        if False:",
        (f"{FAULTS}clearing.py::test_a_reader_holds_the_old_pointer",),
    ),
    Mutant(
        "store an erased user",
        "publish/store/lua/load.lua",
        "if redis.call('EXISTS', KEYS[4]) == 1 then",
        "if false then",
        ("tests/publish/operate/test_forget.py",),
    ),
)
