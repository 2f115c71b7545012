"""What products in codes cost: they round their inputs to 8 bits. Needs torch."""

import torch


def relative_errors(expected, found):
    """Of each token's logits. Rounding may send a token whose experts are nearly tied to another; take the median."""
    return (expected - found).norm(dim=-1) / expected.norm(dim=-1)


def allowed_error(model, inputs, logits):
    """For the median token: thrice what the reference itself errs once the inputs of its products are rounded so, and
    something for weights that are rounded again in a product of many rows."""
    def round_first(module, given):
        scale = given[0].abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127
        return (given[0] / scale).round() * scale, *given[1:]

    hooks = [module.register_forward_pre_hook(round_first) for module in model.modules()
             if isinstance(module, torch.nn.Linear) or type(module).__name__.endswith("Experts")]
    with torch.no_grad():
        errors = relative_errors(logits, model(**inputs).logits.float())
    for hook in hooks:
        hook.remove()
    return 0.02 + 3 * errors.median().item()
