// Activations of feed-forward layers, in the precision that the type of their result keeps.
#pragma once

enum Activation { IDENTITY = 0, GELU_TANH = 1, SILU = 2, SILU_GATE = 3 };  // as ACTIVATIONS of kernels/activation.py

// x / (1 + exp(y)), where y is given times LOG. In half precision by the two approximate instructions alone:
// what they lose, numbers below 2^-126, is rounded away.
template <typename T>
struct Damped {
    static constexpr float LOG = 1.4426950408889634f;  // exp(y) = 2^(LOG y)
    static __device__ __forceinline__ float of(float x, float y) {
        float power, share;
        asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(y));
        asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(share) : "f"(1.0f + power));
        return x * share;
    }
};
template <>
struct Damped<float> {
    static constexpr float LOG = 1.0f;
    static __device__ __forceinline__ float of(float x, float y) { return __fdividef(x, 1.0f + expf(y)); }
};

template <typename T, int A>
__device__ __forceinline__ float activated(float x) {
    if (A == IDENTITY) return x;
    // x sigmoid(z); for GELU 0.5 x (1 + tanh(z)) = x sigmoid(2 z), 2 z = 1.59577 x (1 + 0.044715 x^2)
    if (A != GELU_TANH) return Damped<T>::of(x, -Damped<T>::LOG * x);
    constexpr float LINEAR = -1.5957691216057308f * Damped<T>::LOG;
    return Damped<T>::of(x, x * fmaf(0.044715f * LINEAR * x, x, LINEAR));
}
