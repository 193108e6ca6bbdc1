"""The gradients of a convolution as convolutions: their parameters.

The result before its transform, y[f] = sum over k of x[f + k] w[k] with x and w transformed, has the gradients
dx[i] = sum over f of dy[f] w[i - f] and dw[k] = sum over f of x[f + k] dy[f]: correlations again, one with w turned round
and dy padded, the other with dy as the weights. What was done to an operand is undone to the result: its padding is
truncated, its dilation a stride, its truncation padding; and a flipped result is that of operands that are both flipped.
"""

from __future__ import annotations

from .conv_params import ConvParams, InputTransform, KernelTransform, OutputTransform


def _past_strides(params: ConvParams) -> list[int]:
    """Places of the result after the last that its stride takes, on every field axis."""
    sizes = (params.truncated_output_size(a) for a in range(params.num_field_dims))
    return [(left - 1) % s if left else 0 for left, s in zip(sizes, params.output_transform.stride, strict=True)]


def _added(*columns: tuple[int, ...] | list[int]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*columns, strict=True)))


def gradient_params(params: ConvParams) -> ConvParams:
    """The convolution that makes the input's gradient out of the output's, with weights turned by
    `weights_transpose_chans_flip_xy` (channels exchanged, kernel flipped)."""
    x, k, y = params.input_transform, params.kernel_transform, params.output_transform
    around = [params.transformed_kernel_size(a) - 1 for a in range(params.num_field_dims)]
    return ConvParams(
        params.input_type, params.batch_size, params.output_field_shape, params.kernel_shape,
        params.output_channels_per_conv_group, params.input_channels_per_conv_group, params.num_conv_groups,
        InputTransform(
            y.padding_lower, y.padding_upper, y.stride,
            _added(y.truncation_lower, around),
            _added(y.truncation_upper, around, _past_strides(params)),
            x.flip,
        ),
        # the weights are stored turned: what was below is now above
        KernelTransform(
            k.truncation_upper, k.truncation_lower, k.dilation, k.padding_upper, k.padding_lower,
            tuple(a != b for a, b in zip(k.flip, x.flip, strict=True)),
        ),
        OutputTransform(x.padding_lower, x.padding_upper, x.dilation, x.truncation_lower, x.truncation_upper),
    )  # fmt: skip


def weight_update_params(params: ConvParams) -> ConvParams:
    """The convolution that makes the weights' gradient: activations with batch and the channels of a group exchanged,
    (in, groups * batch, *field), convolved with the output's gradient (groups, out, batch, *output field) and giving
    (in, groups * out, *kernel)."""
    x, k, y = params.input_transform, params.kernel_transform, params.output_transform
    return ConvParams(
        params.input_type, params.input_channels_per_conv_group, params.input_field_shape, params.output_field_shape,
        params.batch_size, params.output_channels_per_conv_group, params.num_conv_groups,
        InputTransform(
            x.truncation_lower, x.truncation_upper, x.dilation, x.padding_lower, x.padding_upper,
            tuple(a != b for a, b in zip(x.flip, k.flip, strict=True)),
        ),
        KernelTransform(
            y.padding_lower, y.padding_upper, y.stride, y.truncation_lower,
            _added(y.truncation_upper, _past_strides(params)), k.flip,
        ),
        OutputTransform(k.padding_lower, k.padding_upper, k.dilation, k.truncation_lower, k.truncation_upper),
    )  # fmt: skip
