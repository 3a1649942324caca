// Elementwise steps of feed-forward layers, and row-wise fp8 quantisation of what they give.
#include "activation.cuh"
#include "common.cuh"

template <typename T>
struct Rows {
    const T* x;
    int64_t x_stride;
    const T* gate;  // of SILU_GATE: multiplies the activation
    int64_t gate_stride;
    const T* bias;  // added before the activation; may be null
    T* out;         // [rows, D]; may be null
    uint8_t* codes; // [rows, D]; may be null
    float* scales;  // [rows]
    int64_t vectors;
};

// One block a row.
template <typename T, int NV, int A>
__global__ void __launch_bounds__(MAX_THREADS) activation_rows(Rows<T> p) {
    __shared__ float shared[MAX_WARPS];
    const int64_t row = blockIdx.x;
    const T* x = p.x + row * p.x_stride;
    Vector<T> raw[NV], raw_gate[A == SILU_GATE ? NV : 1];
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        raw[i] = load(x + v * WIDTH);
        if (A == SILU_GATE) raw_gate[i] = load(p.gate + row * p.gate_stride + v * WIDTH);
    }
    float largest = 0;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        float values[WIDTH], other[WIDTH];
        unpack(raw[i], values);
        if (p.bias) {
            unpack(load_table(p.bias + v * WIDTH), other);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) values[j] += other[j];
        }
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] = activated<T, A>(values[j]);
        if (A == SILU_GATE) {
            unpack(raw_gate[i], other);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) values[j] *= other[j];
        }
        raw[i] = pack<T>(values);  // what waits for the scale takes few registers
        if (p.out) store(p.out + (row * p.vectors + v) * WIDTH, raw[i]);
        if (p.codes) {
            unpack(raw[i], values);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) largest = fmaxf(largest, fabsf(values[j]));
        }
    }
    if (!p.codes) return;
    const float scale = fp8_scale(over_block<Largest>(largest, shared));
    const float inverse = 1.0f / scale;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        float values[WIDTH];
        unpack(raw[i], values);
        *reinterpret_cast<uint2*>(p.codes + (row * p.vectors + v) * WIDTH) = codes_of(values, inverse);
    }
    if (threadIdx.x == 0) p.scales[row] = scale;
}

template <typename T, int NV>
cudaError_t launch(const Rows<T>& p, int64_t rows, int threads, int64_t activation, cudaStream_t stream) {
    switch (activation) {
        case IDENTITY: activation_rows<T, NV, IDENTITY><<<rows, threads, 0, stream>>>(p); break;
        case GELU_TANH: activation_rows<T, NV, GELU_TANH><<<rows, threads, 0, stream>>>(p); break;
        case SILU: activation_rows<T, NV, SILU><<<rows, threads, 0, stream>>>(p); break;
        case SILU_GATE: activation_rows<T, NV, SILU_GATE><<<rows, threads, 0, stream>>>(p); break;
        default: return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}

// out = activation(x + bias), times the gate for SILU_GATE, and the codes of out; rows of `width` elements, strides in elements.
WANCORE_API int wancore_activation(const void* x, int64_t x_stride, const void* gate, int64_t gate_stride,
                                   const void* bias, void* out, void* codes, void* scales, int64_t rows,
                                   int64_t width, int64_t activation, int64_t dtype, void* stream) {
    if (rows == 0) return cudaSuccess;
    const Spread plan = spread(width / WIDTH);
    return with_type(dtype, [&](auto type) {
        using T = decltype(type);
        const Rows<T> p{static_cast<const T*>(x), x_stride, static_cast<const T*>(gate), gate_stride,
                        static_cast<const T*>(bias), static_cast<T*>(out), static_cast<uint8_t*>(codes),
                        static_cast<float*>(scales), width / WIDTH};
        return with_share(plan.per_thread, [&](auto count) {
            return launch<T, decltype(count)::value>(p, rows, plan.threads, activation,
                                                     static_cast<cudaStream_t>(stream));
        });
    });
}
