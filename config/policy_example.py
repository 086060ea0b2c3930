"""An example of a policy of your own; in config/providers.yaml: `policy: policy_example.py:CheapestInTime`.

The path counts from the folder of that file. The class is made once per configuration, without arguments, and asked
for each call and each priority tier. It may look at `call` (requested model, time, estimated tokens, needs, stream) and
at each candidate: its target (provider, model, quality, context_window), expected_usd, first_content_s, tokens_per_s,
error_rate, limited_rate, tries, quota_wait_s, requests_left and tokens_left. None is not known, and for what is left
that there is no limit. docs/policies.md tells each of them. Return the very objects that were given, each once at most:
a changed copy counts as a wrong answer.

It must be quick: all requests wait for it. Where it raises, returns something else, or takes longer than
`policies: {custom: {timeout_seconds: 0.02}}`, least_cost orders in its place, and the decision says why.
"""

from collections.abc import Sequence

from llmrouter.routing.policies import CallFacts, Candidate

PATIENCE_S = 2.0
SHORT_ANSWER_TOKENS = 200


class CheapestInTime:
    """The cheapest that begins to answer a stream soon enough, and never a small model for a long answer."""

    def order(self, call: CallFacts, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Best first; whoever is left out follows in the order of least_cost."""
        wanted = [candidate for candidate in candidates if self._fits(call, candidate)]
        return sorted(wanted, key=lambda candidate: (candidate.expected_usd is None, candidate.expected_usd or 0.0))

    def _fits(self, call: CallFacts, candidate: Candidate) -> bool:
        seconds, quality = candidate.first_content_s, candidate.target.quality
        if call.stream and seconds is not None and seconds + candidate.quota_wait_s > PATIENCE_S:
            return False
        return call.output_tokens <= SHORT_ANSWER_TOKENS or quality is None or quality >= 0.5
