"""One call's way through its plan: the ladder of steps, and the error at its end."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from llmrouter.calls import Call, Preferences
from llmrouter.errors import AttemptFailed, NoAnswer, NoTarget, Outcome, RelayedError, RouterError
from llmrouter.routing.course import Course, Step
from llmrouter.routing.gates import Gate, LeftOut
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan
from llmrouter.routing.policies import Candidate
from llmrouter.routing.vitals import Answered
from llmrouter.settings.model import BreakerSettings, RetrySettings
from llmrouter.targets import Target
from tests.routing.samples import call_of, target_of

TRANSIENT = [Outcome.UNREACHABLE, Outcome.SERVER_ERROR, Outcome.BAD_REPLY]
DEADLINE = 600.0


@dataclass
class Drive:
    """Drives a course as the gateway does: with a clock that waits move on, and attempts that take no time."""

    planned: list[Target]
    resting: list[Target] = field(default_factory=list)
    never: list[Target] = field(default_factory=list)
    health: HealthBook = field(default_factory=HealthBook)
    retry: RetrySettings = field(default_factory=RetrySettings)
    now: float = 0.0
    log: list[str] = field(default_factory=list)

    def start(self) -> Course:
        """The course, over a plan of these targets."""
        left_out = [LeftOut(t, "it rests", returns_at=self.health.available_at(t, self.now)) for t in self.resting]
        left_out += [LeftOut(target, "it cannot do: tools", Gate.DEMAND) for target in self.never]
        plan = Plan(tuple(Candidate(t, n) for n, t in enumerate(self.planned)), tuple(left_out), "least_cost")
        return Course(call_of(), plan, self.health, self.retry, self.now + DEADLINE)

    def run(self, course: Course, **failures: list[AttemptFailed]) -> None:
        """Follows the steps; each provider fails as listed, one after another, and then succeeds.

        The log has the providers asked, waits as `+seconds`, and a `!` after a last resort.
        """
        while (step := course.next(self.now)) is not None:
            if step.wait_s:
                self.now += step.wait_s
                self.log.append(f"+{step.wait_s:g}")
                course.waited(step.target)
                continue
            name = step.target.provider
            self.log.append(f"{name}!" if step.is_last_resort else name)
            if not failures.get(name):
                self.health.record(
                    step.target, Outcome.SUCCESS, None, Answered(0.1, 0.1, None, is_stream=True), self.now
                )
                self.log.append("ok")
                return
            failure = failures[name].pop(0)
            self.health.record(step.target, failure.outcome, failure.retry_after_s, None, self.now)
            course.failed(step.target, failure)

    def steps(self, **failures: list[AttemptFailed]) -> str:
        """The log of a whole run, as one line."""
        self.run(self.start(), **failures)
        return " ".join(self.log)

    def end(self, **failures: list[AttemptFailed]) -> RouterError:
        """The error that a run ends with."""
        course = self.start()
        self.run(course, **failures)
        return course.error(self.now)


def target(name: str, **fields: Any) -> Target:
    """The one target of a provider."""
    return target_of(f"{name}/m", **fields)


def targets(names: str) -> list[Target]:
    """One target for each letter."""
    return [target(name) for name in names]


def fails(outcome: Outcome, times: int = 1, wait_s: float | None = None) -> list[AttemptFailed]:
    """So many failures of a kind, each with its own words."""
    return [AttemptFailed(outcome, f"failure {n}", retry_after_s=wait_s) for n in range(1, times + 1)]


def refuses(message: str, outcome: Outcome = Outcome.REFUSED, status: int = 422) -> list[AttemptFailed]:
    """A refusal of the request in the provider's own words."""
    return [AttemptFailed(outcome, message, status, {"message": message, "param": "n", "code": "bad"})]


def resting(health: HealthBook, name: str, wait_s: float) -> Target:
    """A target that rests for so long from the moment 0."""
    made = target(name)
    health.record(made, Outcome.RATE_LIMITED, wait_s, None, 0)
    return made


# Step 1: the plan in order


def test_the_first_target_that_succeeds_ends_it() -> None:
    assert Drive(targets("abc")).steps() == "a ok"


@pytest.mark.parametrize(
    "outcome",
    [
        *TRANSIENT,
        Outcome.TIMED_OUT,
        Outcome.RATE_LIMITED,
        Outcome.OUT_OF_CREDIT,
        Outcome.UNAUTHORIZED,
        Outcome.MODEL_GONE,
        Outcome.CONTEXT_EXCEEDED,
        Outcome.REFUSED,
    ],
)
def test_after_a_failure_of_any_kind_the_next_target_is_asked_at_once(outcome: Outcome) -> None:
    assert Drive(targets("abc")).steps(a=fails(outcome)) == "a b ok"


def test_targets_are_asked_in_the_order_of_the_plan_before_any_is_asked_again() -> None:
    steps = Drive(targets("abc")).steps(**{name: fails(Outcome.SERVER_ERROR) for name in "abc"})
    assert steps == "a b c +0.25 a ok"


@pytest.mark.parametrize(("limit", "expected"), [(1, "a"), (2, "a b"), (3, "a b c")])
def test_no_more_attempts_than_allowed(limit: int, expected: str) -> None:
    drive = Drive(targets("abcd"), retry=RetrySettings(max_attempts=limit))
    assert drive.steps(**{name: fails(Outcome.SERVER_ERROR, 9) for name in "abcd"}) == expected


@pytest.mark.parametrize(("now", "goes_on"), [(599.9, True), (600, False), (601, False)])
def test_after_the_deadline_there_is_no_further_step(now: float, goes_on: bool) -> None:
    course = Drive(targets("ab")).start()
    assert (course.next(now) is not None) == goes_on


def test_a_target_that_began_to_rest_since_the_plan_was_made_is_skipped() -> None:
    drive = Drive(targets("ab"))
    course = drive.start()
    drive.health.record(drive.planned[0], Outcome.RATE_LIMITED, 60.0, None, 0)
    drive.run(course)
    assert drive.log == ["b", "ok"]


def test_a_provider_with_a_wrong_key_is_not_asked_for_its_other_models() -> None:
    drive = Drive([target_of("a/one"), target_of("a/two"), target("b")])
    assert drive.steps(a=fails(Outcome.UNAUTHORIZED)) == "a b ok"


def test_a_probe_is_taken_by_the_step_that_asks_for_it_and_a_second_call_goes_elsewhere() -> None:
    drive = Drive(targets("ab"))
    for _ in range(5):
        drive.health.record(drive.planned[0], Outcome.SERVER_ERROR, None, None, 0)
    drive.now = 30
    first, second = drive.start(), drive.start()
    assert [course.next(30) for course in (first, second)] == [Step(drive.planned[0]), Step(drive.planned[1])]


# Step 1: refusals of the request itself


def test_a_refused_request_goes_to_one_other_target_and_the_first_answer_is_handed_on() -> None:
    drive = Drive(targets("abc"))
    error = drive.end(a=refuses("n is too high"), b=refuses("what is n"))
    assert drive.log == ["a", "b"]
    assert isinstance(error, RelayedError)
    assert (error.status, error.message, error.param, error.code) == (422, "n is too high", "n", "bad")


@pytest.mark.parametrize("outcome", [*TRANSIENT, Outcome.RATE_LIMITED, Outcome.TIMED_OUT, Outcome.CONTEXT_EXCEEDED])
def test_the_one_other_target_is_the_last_however_it_fails(outcome: Outcome) -> None:
    drive = Drive(targets("abc"))
    error = drive.end(a=refuses("n is too high"), b=fails(outcome, wait_s=1))
    assert (drive.log, error.message) == (["a", "b"], "n is too high")


def test_failures_before_the_refusal_do_not_use_up_the_one_other_target() -> None:
    drive = Drive(targets("abcd"))
    error = drive.end(a=fails(Outcome.SERVER_ERROR), b=refuses("b says no"), c=refuses("c says no"))
    assert (drive.log, error.message) == (["a", "b", "c"], "b says no")


def test_a_refusal_without_another_target_is_handed_on_without_waiting_for_one() -> None:
    health = HealthBook()
    drive = Drive(targets("a"), resting=[resting(health, "b", 5)], health=health)
    assert drive.end(a=refuses("no")).message == "no"
    assert drive.log == ["a"]


# Step 1: the context window


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ({"a": 100, "b": 100, "c": 50, "d": 200}, "a d ok"),
        ({"a": 100, "b": None, "c": 200}, "a b ok"),
        ({"a": None, "b": 50}, "a b ok"),
        ({"a": 100, "b": 99}, "a"),
    ],
    ids=["only a larger one", "an unknown one may be larger", "larger than unknown may be any", "none is larger"],
)
def test_a_prompt_that_is_too_long_goes_to_a_larger_window(windows: dict[str, int | None], expected: str) -> None:
    planned = [target(name, context_window=window) for name, window in windows.items()]
    assert Drive(planned).steps(a=fails(Outcome.CONTEXT_EXCEEDED)) == expected


def test_without_a_larger_window_the_providers_own_error_is_handed_on_as_a_bad_request() -> None:
    """OpenAI answers a prompt that is too long with 400, and clients look for that; some providers say 413."""
    drive = Drive([target("a", context_window=100), target("b", context_window=50)])
    error = drive.end(a=refuses("at most 100 tokens", Outcome.CONTEXT_EXCEEDED, 413))
    assert isinstance(error, RelayedError)
    assert (error.status, error.message) == (400, "at most 100 tokens")


def test_a_larger_window_that_fails_in_passing_is_asked_again() -> None:
    drive = Drive([target("a", context_window=100), target("b", context_window=200)])
    steps = drive.steps(a=fails(Outcome.CONTEXT_EXCEEDED), b=fails(Outcome.SERVER_ERROR))
    assert steps == "a b +0.25 b ok"


def test_a_larger_window_that_rests_is_waited_for_and_a_smaller_one_is_not() -> None:
    health = HealthBook()
    small, large = target("small", context_window=50), target("large", context_window=200)
    health.record(small, Outcome.RATE_LIMITED, 2.0, None, 0)
    health.record(large, Outcome.RATE_LIMITED, 5.0, None, 0)
    drive = Drive([target("a", context_window=100)], resting=[small, large], health=health)
    assert drive.steps(a=fails(Outcome.CONTEXT_EXCEEDED)) == "a +5 large ok"


# Step 2: all rest


def test_when_all_rest_the_one_that_returns_first_is_waited_for() -> None:
    health = HealthBook()
    rest = [resting(health, "a", 60), resting(health, "b", 40), resting(health, "c", 50)]
    assert Drive([], resting=rest, health=health).steps() == "+40 b ok"


def test_a_wait_that_the_deadline_does_not_allow_is_no_wait_but_a_last_resort() -> None:
    health = HealthBook()
    rest = [resting(health, "a", DEADLINE + 60), resting(health, "b", DEADLINE)]
    assert Drive([], resting=rest, health=health).steps() == "b! ok"


def test_a_probe_of_another_call_is_waited_for_second_by_second() -> None:
    drive = Drive(targets("a"), now=30)
    breaker = drive.health.breaker(drive.planned[0])
    for _ in range(5):
        breaker.record_failure(0)
    assert breaker.try_acquire(30)
    course = drive.start()
    step = course.next(30)
    assert step == Step(drive.planned[0], 1)
    course.waited(step.target)
    assert course.next(31) == Step(drive.planned[0], 1)
    breaker.record_success(31.5)
    course.waited(step.target)
    assert course.next(32) == Step(drive.planned[0])


# Step 3: what is tried again


@pytest.mark.parametrize("outcome", TRANSIENT)
def test_a_lone_target_that_fails_in_passing_is_tried_again_after_growing_pauses(outcome: Outcome) -> None:
    assert Drive(targets("a")).steps(a=fails(outcome, 9)) == "a +0.25 a +0.5 a +1 a"


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.UNAUTHORIZED, Outcome.OUT_OF_CREDIT])
def test_a_lone_target_that_would_fail_again_is_not_tried_again(outcome: Outcome) -> None:
    assert Drive(targets("a")).steps(a=fails(outcome, 9)) == "a"


@pytest.mark.parametrize(("wait_s", "expected"), [(0.5, "a +0.5 a ok"), (15, "a +15 a ok"), (15.1, "a"), (None, "a")])
def test_a_limited_target_is_waited_for_where_the_wait_is_short(wait_s: float | None, expected: str) -> None:
    assert Drive(targets("a")).steps(a=fails(Outcome.RATE_LIMITED, wait_s=wait_s)) == expected


def test_what_returns_first_is_asked_first_whether_it_failed_or_rested_before() -> None:
    health = HealthBook()
    drive = Drive(targets("ab"), resting=[resting(health, "c", 1)], health=health)
    steps = drive.steps(a=fails(Outcome.RATE_LIMITED, wait_s=3), b=fails(Outcome.TIMED_OUT))
    assert steps == "a b +1 c ok"


def test_a_target_whose_breaker_opened_is_not_tried_again_before_its_recovery() -> None:
    drive = Drive([target("a", breaker=BreakerSettings(failure_threshold=2, recovery_seconds=3))])
    assert drive.steps(a=fails(Outcome.SERVER_ERROR, 2)) == "a +0.25 a +3 a ok"


# Step 4: the last resort


def test_a_resting_target_is_the_last_resort_once() -> None:
    health = HealthBook()
    rest = [resting(health, "b", 90), resting(health, "c", 60), resting(health, "d", 70)]
    drive = Drive(targets("a"), resting=rest, health=health)
    assert drive.steps(a=fails(Outcome.TIMED_OUT), c=fails(Outcome.TIMED_OUT)) == "a c!"


def test_a_target_that_was_asked_already_is_no_last_resort() -> None:
    assert Drive(targets("ab")).steps(a=fails(Outcome.TIMED_OUT), b=fails(Outcome.RATE_LIMITED)) == "a b"


def test_what_must_not_serve_is_neither_waited_for_nor_a_last_resort() -> None:
    assert Drive(targets("a"), never=targets("b")).steps(a=fails(Outcome.TIMED_OUT)) == "a"


# Step 5: the end


@pytest.mark.parametrize(
    ("outcome", "wait_s", "status", "retry_after_s"),
    [
        (Outcome.RATE_LIMITED, 60, 429, 60),
        (Outcome.RATE_LIMITED, None, 429, 20),
        (Outcome.OUT_OF_CREDIT, None, 503, 3600),
        (Outcome.MODEL_GONE, None, 503, 600),
        (Outcome.UNAUTHORIZED, None, 503, None),
        (Outcome.TIMED_OUT, None, 503, None),
    ],
)
def test_the_error_says_when_to_ask_again_where_that_is_known(
    outcome: Outcome, wait_s: float | None, status: int, retry_after_s: float | None
) -> None:
    error = Drive(targets("a")).end(a=fails(outcome, wait_s=wait_s))
    assert isinstance(error, NoAnswer)
    assert (error.status, error.retry_after_s) == (status, retry_after_s)
    assert error.message == "No provider could answer for the model 'gpt-4o'. a/m: failure 1"


def test_the_error_names_the_soonest_return_of_all_that_may_answer() -> None:
    health = HealthBook()
    drive = Drive(targets("a"), resting=[resting(health, "b", 40)], health=health, retry=RetrySettings(max_attempts=1))
    assert drive.end(a=fails(Outcome.RATE_LIMITED, wait_s=60)).retry_after_s == 40


def test_no_wait_is_asked_for_where_a_target_that_was_not_reached_could_answer_now() -> None:
    drive = Drive(targets("ab"), retry=RetrySettings(max_attempts=1))
    assert drive.end(a=fails(Outcome.RATE_LIMITED, wait_s=60)).retry_after_s is None


def test_it_is_a_rate_limit_only_where_every_attempt_met_one() -> None:
    drive = Drive(targets("ab"))
    error = drive.end(a=fails(Outcome.RATE_LIMITED, wait_s=60), b=fails(Outcome.TIMED_OUT))
    assert (error.status, error.code) == (503, "no_provider_available")
    assert error.message.endswith("a/m: failure 1; b/m: failure 1")


def test_a_wait_that_ends_after_the_deadline_is_no_unknown_model() -> None:
    health = HealthBook()
    course = Drive([], resting=[resting(health, "a", 599.9)], health=health).start()
    step = course.next(0)
    assert step is not None
    course.waited(step.target)
    assert course.next(600.1) is None
    error = course.error(600.1)
    assert (error.status, error.message) == (503, "No provider could answer for the model 'gpt-4o'. a/m: it rests")


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.UNAUTHORIZED, 401), (Outcome.OUT_OF_CREDIT, 429)])
def test_a_fault_of_the_apps_own_key_is_told_as_openai_told_it(outcome: Outcome, status: int) -> None:
    drive = Drive([target("a", uses_caller_key=True)])
    error = drive.end(a=refuses("see your account", outcome, status))
    assert isinstance(error, RelayedError)
    assert (error.status, error.message) == (status, "see your account")


def test_a_fault_of_the_routers_own_key_stays_between_it_and_its_owner() -> None:
    error = Drive(targets("a")).end(a=refuses("wrong key", Outcome.UNAUTHORIZED, 401))
    assert (type(error), error.status) == (NoAnswer, 503)


def test_a_model_that_nothing_serves_is_not_found() -> None:
    error = Drive([]).end()
    assert isinstance(error, NoTarget)
    assert (error.status, error.param) == (404, "model")
    assert error.message.startswith("No configured target serves the model 'gpt-4o'.")


def test_where_nothing_may_answer_the_error_says_why_not() -> None:
    error = Drive([], never=targets("ab")).end()
    assert isinstance(error, NoTarget)
    assert error.message.endswith("a/m: it cannot do: tools; b/m: it cannot do: tools")


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ([Gate.REQUEST], None),
        ([Gate.WINDOW], "context_length_exceeded"),
        ([Gate.REQUEST, Gate.WINDOW], "context_length_exceeded"),
    ],
)
def test_where_no_target_can_do_what_is_asked_it_is_the_request_that_is_wrong(gates: list[Gate], code: Any) -> None:
    left = tuple(LeftOut(target, "why", gate) for target, gate in zip(targets("ab"), gates, strict=False))
    course = Course(call_of(), Plan((), left, "least_cost"), HealthBook(), RetrySettings(), DEADLINE)
    error = course.error(0.0)
    assert (error.status, error.type, error.code) == (400, "invalid_request_error", code)
    assert "a/m: why" in error.message


def unsupported(member: str) -> AttemptFailed:
    error = {"message": f"Unsupported parameter: '{member}'", "param": member}
    return AttemptFailed(Outcome.UNSUPPORTED, f"no {member}", 400, error, member=member)


def test_a_target_that_refuses_a_hint_is_asked_again_without_it_at_once() -> None:
    drive = Drive([target_of("a/m"), target_of("b/m")])
    assert drive.steps(a=[unsupported("temperature"), unsupported("seed")]) == "a a a ok"


def test_a_target_that_refuses_the_same_hint_again_is_left() -> None:
    drive = Drive([target_of("a/m"), target_of("b/m")])
    assert drive.steps(a=[unsupported("temperature"), unsupported("temperature")]) == "a a b ok"


def test_a_target_that_refuses_what_has_meaning_is_not_asked_without_it() -> None:
    drive = Drive([target_of("a/m"), target_of("b/m")])
    assert drive.steps(a=[unsupported("logprobs")]) == "a b ok"


def test_hints_that_are_refused_do_not_use_up_the_attempts() -> None:
    drive = Drive([target_of("a/m"), target_of("b/m")], retry=RetrySettings(max_attempts=1))
    assert drive.steps(a=[unsupported("temperature"), unsupported("seed")]) == "a a a ok"


def test_where_nobody_takes_a_member_the_client_is_told_so_by_the_provider() -> None:
    drive = Drive([target_of("a/m")])
    course = drive.start()
    drive.run(course, a=[unsupported("logprobs")])
    error = course.error(0.0)
    assert isinstance(error, RelayedError)
    assert (error.status, error.param) == (400, "logprobs")


def test_what_cannot_be_said_to_a_target_goes_to_the_next_and_counts_as_no_attempt() -> None:
    silent = AttemptFailed(Outcome.NOT_TRANSLATABLE, "it knows no custom tools")
    drive = Drive([target_of("a/m"), target_of("b/m")], retry=RetrySettings(max_attempts=1))
    assert drive.steps(a=[silent]) == "a b ok"


def test_what_can_be_said_to_nobody_is_the_requests_fault() -> None:
    drive = Drive([target_of("a/m")])
    course = drive.start()
    drive.run(course, a=[AttemptFailed(Outcome.NOT_TRANSLATABLE, "it knows no custom tools")])
    error = course.error(0.0)
    assert (error.status, error.type) == (400, "invalid_request_error")
    assert error.message == "No provider can be asked this. a/m: it knows no custom tools"


def test_a_refusal_that_a_server_tells_as_its_own_failure_is_not_retried_by_the_sdk() -> None:
    drive = Drive([target_of("a/m")])
    course = drive.start()
    drive.run(course, a=[AttemptFailed(Outcome.REFUSED, "no --jinja", 500, {"message": "no --jinja"})])
    assert course.error(0.0).status == 400


def test_what_was_never_sent_does_not_take_the_place_of_the_one_other() -> None:
    drive = Drive(targets("abc"))
    silent = AttemptFailed(Outcome.NOT_TRANSLATABLE, "no custom tools")
    assert drive.steps(a=refuses("bad"), b=[silent]) == "a b c ok"


def test_the_one_other_may_want_it_said_in_another_way() -> None:
    drive = Drive(targets("ab"))
    assert drive.steps(a=refuses("bad"), b=[unsupported("temperature")]) == "a b b ok"


def test_repetitions_without_a_hint_have_an_end() -> None:
    hints = ["temperature", "seed", "user", "store", "metadata", "top_p", "verbosity"]
    drive = Drive(targets("a"), retry=RetrySettings(max_attempts=2))
    assert drive.steps(a=[unsupported(hint) for hint in hints]) == "a a a a a"


# Beside a target that is late


def course_of(*costs_usd: float | None, call: Call | None = None, most: int = 4) -> Course:
    """A course over targets a, b, c ... with these expected costs, whose first one is under way."""
    names = "abcdefg"[: len(costs_usd)]
    candidates = (
        Candidate(target_of(f"{name}/m"), number, usd)
        for number, (name, usd) in enumerate(zip(names, costs_usd, strict=True))
    )
    plan = Plan(tuple(candidates), (), "least_cost")
    course = Course(call or call_of(), plan, HealthBook(), RetrySettings(max_attempts=most), DEADLINE)
    assert course.next(0.0) == Step(plan.candidates[0].target)
    return course


def rival_of(course: Course, *, may_be_paid: bool = False, now: float = 0.0) -> str | None:
    target = course.beside(course.plan.candidates[0].target, now, may_be_paid=may_be_paid)
    return None if target is None else target.provider


@pytest.mark.parametrize(
    ("first_usd", "other_usd", "by_default", "if_wanted"),
    [
        (0.0, 0.0, True, True),
        (0.01, 0.0, True, True),
        (0.01, 0.02, True, True),
        (None, None, True, True),
        (None, 0.02, True, True),
        (0.0, 0.02, False, True),
        (0.0, None, False, True),
        (0.01, None, False, True),
    ],
)
def test_what_a_rival_may_cost(
    first_usd: float | None, other_usd: float | None, by_default: bool, if_wanted: bool
) -> None:
    """A free call stays free, and an unknown price is not taken for a known one, unless that is wanted."""
    assert rival_of(course_of(first_usd, other_usd)) == ("b" if by_default else None)
    assert rival_of(course_of(first_usd, other_usd), may_be_paid=True) == ("b" if if_wanted else None)


@pytest.mark.parametrize(("other_usd", "rival"), [(0.0, "b"), (0.01, None), (None, None)])
def test_what_the_client_allows_is_spent_once(other_usd: float | None, rival: str | None) -> None:
    call = call_of(preferences=Preferences(max_cost_usd=1.0))
    assert rival_of(course_of(0.01, other_usd, call=call), may_be_paid=True) == rival


def test_the_next_that_may_be_asked_is_the_rival() -> None:
    assert rival_of(course_of(0.0, 0.02, 0.0)) == "c"


def test_a_rival_that_rests_or_whose_breaker_is_open_is_passed_over() -> None:
    course = course_of(0.0, 0.0, 0.0, 0.0)
    resting, broken, well = (candidate.target for candidate in course.plan.candidates[1:])
    course.health.record(resting, Outcome.RATE_LIMITED, 60.0, None, 0.0)
    for _ in range(5):
        course.health.record(broken, Outcome.SERVER_ERROR, None, None, 0.0)
    assert rival_of(course) == well.provider


def test_both_of_a_race_are_attempts_and_the_loser_is_asked_last() -> None:
    course = course_of(0.0, 0.0, 0.0, most=3)
    one, two, three = (candidate.target for candidate in course.plan.candidates)
    assert course.beside(one, 0.0, may_be_paid=False) is two
    course.hedged_off(one)
    course.failed(two, AttemptFailed(Outcome.BROKEN_STREAM, "it broke off"))
    assert course.next(0.0) == Step(three)
    assert course.beside(three, 0.0, may_be_paid=False) is None
    course.failed(three, AttemptFailed(Outcome.SERVER_ERROR, "500"))
    assert course.next(0.0) is None


def test_the_loser_goes_on_where_nobody_else_is_left() -> None:
    course = course_of(0.0, 0.0)
    one, two = (candidate.target for candidate in course.plan.candidates)
    assert course.beside(one, 0.0, may_be_paid=False) is two
    course.hedged_off(one)
    course.failed(two, AttemptFailed(Outcome.BROKEN_STREAM, "it broke off"))
    assert course.next(0.0) == Step(one)


def test_nobody_is_asked_beside_the_last_attempt_or_after_the_deadline() -> None:
    assert rival_of(course_of(0.0, 0.0, most=1)) is None
    assert rival_of(course_of(0.0, 0.0), now=DEADLINE) is None
