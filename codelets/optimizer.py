"""Optimiser steps, each one pass over a parameter, its gradient and its state.

The arithmetic is float whatever the storage; costs are those of the fused passes: loads and stores of 64-bit vectors
and the float operations between them (two-slot square root and division vectors as in PopLibs' unary table).
"""

from poplar_py import FLOAT, SCALAR, VECTOR, Codelet, Constant, InOut, Input, sqrt


class SgdUpdate(Codelet):
    """weights = weights - rate * (gradient + decay * weights)"""

    weights = InOut(VECTOR)
    gradient = Input(VECTOR)
    rate = Input(SCALAR)
    decay = Constant(FLOAT, 0.0)

    def compute(weights, gradient, rate, decay):
        for i in range(weights.size):
            weights[i] -= rate[0] * (gradient[i] + decay * weights[i])

    def cycles(target, weights, gradient, rate, decay):
        return 30 + 4 * -(-weights.size // target.vector_width(weights.dtype.size))


class MomentumUpdate(Codelet):
    """velocity = momentum * velocity + gradient + decay * weights; weights = weights - rate * velocity"""

    weights = InOut(VECTOR)
    velocity = InOut(VECTOR)
    gradient = Input(VECTOR)
    rate = Input(SCALAR)
    momentum = Constant(FLOAT, 0.9)
    decay = Constant(FLOAT, 0.0)

    def compute(weights, velocity, gradient, rate, momentum, decay):
        for i in range(weights.size):
            speed = momentum * velocity[i] + gradient[i] + decay * weights[i]
            velocity[i] = speed
            weights[i] -= rate[0] * speed

    def cycles(target, weights, velocity, gradient, rate, momentum, decay):
        return 36 + 7 * -(-weights.size // target.vector_width(weights.dtype.size))


class AdamUpdate(Codelet):
    """One step of Adam: running means of the gradient and of its square, both corrected for their start at zero.

    `step` counts from 1 in the first step. `decay` is decoupled weight decay (AdamW).
    """

    weights = InOut(VECTOR)
    mean = InOut(VECTOR)
    variance = InOut(VECTOR)
    gradient = Input(VECTOR)
    rate = Input(SCALAR)
    step = Input(SCALAR)
    beta1 = Constant(FLOAT, 0.9)
    beta2 = Constant(FLOAT, 0.999)
    epsilon = Constant(FLOAT, 1e-8)
    decay = Constant(FLOAT, 0.0)

    def compute(weights, mean, variance, gradient, rate, step, beta1, beta2, epsilon, decay):
        corrected1 = 1 - beta1 ** step[0]
        corrected2 = 1 - beta2 ** step[0]
        for i in range(weights.size):
            first = beta1 * mean[i] + (1 - beta1) * gradient[i]
            second = beta2 * variance[i] + (1 - beta2) * gradient[i] * gradient[i]
            mean[i] = first
            variance[i] = second
            change = (first / corrected1) / (sqrt(second / corrected2) + epsilon)
            weights[i] -= rate[0] * (change + decay * weights[i])

    def cycles(target, weights, mean, variance, gradient, rate, step, beta1, beta2, epsilon, decay):
        return 2 * 312 + 50 + 34 * -(-weights.size // target.vector_width(weights.dtype.size))
