"""What a provider wants back in the next turn is kept for the caller and target that it belongs to."""

from pydantic import SecretStr

from llmrouter.calls import Caller
from llmrouter.providers.turn_memory import TurnMemory
from tests.providers.samples import call_of, target_of


def test_it_is_given_back_to_the_same_caller_and_target_alone() -> None:
    memory = TurnMemory()
    ann, bob = (call_of(caller=Caller(SecretStr(f"Bearer key-of-{name}"))) for name in ("ann", "bob"))
    memory.keep(ann, target_of("groq"), "call_1", {"signature": "s"})
    assert memory.recall(ann, target_of("groq"), "call_1") == {"signature": "s"}
    assert memory.recall(bob, target_of("groq"), "call_1") is None
    assert memory.recall(ann, target_of("xai"), "call_1") is None
    assert memory.recall(ann, target_of("groq"), "call_2") is None


def test_ids_that_are_the_same_in_every_conversation_do_not_mix_them() -> None:
    memory, target = TurnMemory(), target_of()
    first, other = (call_of(messages=[{"role": "user", "content": text}]) for text in ("one", "two"))
    later = call_of(messages=[*first.body["messages"], {"role": "assistant", "content": "x"}])
    memory.keep(first, target, "functions.f:0", "thought")
    assert memory.recall(later, target, "functions.f:0") == "thought"
    assert memory.recall(other, target, "functions.f:0") is None


def test_it_is_bounded_and_the_oldest_goes_first() -> None:
    memory, call, target = TurnMemory(max_bytes=100), call_of(), target_of()
    for number in range(10):
        memory.keep(call, target, f"call_{number}", "x" * 30)
    assert memory.recall(call, target, "call_0") is None
    assert memory.recall(call, target, "call_9") == "x" * 30
    memory.keep(call, target, "large", "x" * 200)
    assert memory.recall(call, target, "large") is None
    assert memory.recall(call, target, "call_9") == "x" * 30
