// Where two sub-layers of a block meet: residual updates (with gates, for some rows) are added to the
// stream, and the sum is normed, modulated and quantised for the next sub-layer, in one pass.
#include "common.cuh"

enum Norm { NONE = 0, MODULATED = 1, AFFINE = 2 };  // as NORMS of kernels/junction.py

template <typename T>
struct Update {
    const T* rows;  // [count, D] for the rows start .. start + count; null: no update
    int64_t stride, start, count;
    const float* gate;  // [levels, D]; may be null
    int64_t gate_stride;
    const float* strength;  // one number; may be null
    float factor;
};

template <typename T>
struct Junction {
    const T* x;
    int64_t x_stride;
    Update<T> updates[2];
    T* sum;              // x with the updates; may be null
    const int32_t* level;  // of each row; null: level 0
    const float *shift, *scale;  // MODULATED: n (1 + scale) + shift
    int64_t shift_stride, scale_stride;
    const T *weight, *bias;  // AFFINE: n weight + bias; each may be null
    float eps;
    T* normed;       // may be null
    uint8_t* codes;  // may be null
    float* scales;
    int64_t vectors;
};

template <typename T>
__device__ __forceinline__ bool covers(const Update<T>& u, int64_t row) {
    return u.rows && row >= u.start && row < u.start + u.count;
}

template <typename T>
__device__ __forceinline__ void add(const Update<T>& u, int64_t level, int64_t v, const Vector<T>& raw,
                                    float factor, float (&values)[WIDTH]) {
    float update[WIDTH];
    unpack(raw, update);
    if (u.gate) {
        float gate[WIDTH];
        unpack(load_table(u.gate + level * u.gate_stride + v * WIDTH), gate);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] = fmaf(update[j] * factor, gate[j], values[j]);
    } else {
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] = fmaf(update[j], factor, values[j]);
    }
}

// One block a row; the row stays in registers.
template <typename T, int NV, int N, bool UPDATES>
__global__ void __launch_bounds__(MAX_THREADS) junction(const Junction<T> p) {
    __shared__ float shared[3][MAX_WARPS];
    const int64_t row = blockIdx.x;
    const bool first = UPDATES && covers(p.updates[0], row), second = UPDATES && covers(p.updates[1], row);
    Vector<T> raw[NV], raw_first[UPDATES ? NV : 1], raw_second[UPDATES ? NV : 1];
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v < p.vectors) raw[i] = load(p.x + row * p.x_stride + v * WIDTH);
    }
    if (first) {
        const T* from = p.updates[0].rows + (row - p.updates[0].start) * p.updates[0].stride;
#pragma unroll
        for (int i = 0; i < NV; ++i) {
            const int64_t v = i * blockDim.x + threadIdx.x;
            if (v < p.vectors) raw_first[i] = load(from + v * WIDTH);
        }
    }
    if (second) {
        const T* from = p.updates[1].rows + (row - p.updates[1].start) * p.updates[1].stride;
#pragma unroll
        for (int i = 0; i < NV; ++i) {
            const int64_t v = i * blockDim.x + threadIdx.x;
            if (v < p.vectors) raw_second[i] = load(from + v * WIDTH);
        }
    }
    const int64_t level = p.level ? p.level[row] : 0;
    float factors[2];
#pragma unroll
    for (int i = 0; i < 2; ++i)
        factors[i] = p.updates[i].factor * (p.updates[i].strength ? *p.updates[i].strength : 1.0f);

    float values[NV][WIDTH];
    float sum = 0;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        unpack(raw[i], values[i]);
        if (first) add(p.updates[0], level, v, raw_first[i], factors[0], values[i]);
        if (second) add(p.updates[1], level, v, raw_second[i], factors[1], values[i]);
        if (UPDATES && p.sum) {
            const Vector<T> rounded = pack<T>(values[i]);  // the norm reads what is stored
            store(p.sum + (row * p.vectors + v) * WIDTH, rounded);
            unpack(rounded, values[i]);
        }
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) sum += values[i][j];
    }
    if (N == NONE) return;

    const float width = p.vectors * WIDTH;
    const float mean = over_block<Sum>(sum, shared[0]) / width;
    float squares = 0;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            values[i][j] -= mean;
            squares = fmaf(values[i][j], values[i][j], squares);
        }
    }
    const float inverse_deviation = rsqrtf(over_block<Sum>(squares, shared[1]) / width + p.eps);
    float largest = 0;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[i][j] *= inverse_deviation;
        float table[WIDTH];
        if (N == MODULATED) {
            unpack(load_table(p.scale + level * p.scale_stride + v * WIDTH), table);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) values[i][j] = fmaf(values[i][j], table[j], values[i][j]);
            unpack(load_table(p.shift + level * p.shift_stride + v * WIDTH), table);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) values[i][j] += table[j];
        } else {
            if (p.weight) {
                unpack(load_table(p.weight + v * WIDTH), table);
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) values[i][j] *= table[j];
            }
            if (p.bias) {
                unpack(load_table(p.bias + v * WIDTH), table);
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) values[i][j] += table[j];
            }
        }
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) largest = fmaxf(largest, fabsf(values[i][j]));
        if (p.normed) store(p.normed + (row * p.vectors + v) * WIDTH, pack<T>(values[i]));
    }
    if (!p.codes) return;
    const float scale = fp8_scale(over_block<Largest>(largest, shared[2]));
    const float inverse = 1.0f / scale;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v < p.vectors)
            *reinterpret_cast<uint2*>(p.codes + (row * p.vectors + v) * WIDTH) = codes_of(values[i], inverse);
    }
    if (threadIdx.x == 0) p.scales[row] = scale;
}

// Sizes and strides in elements. What is null is left out; `norm` as in the enum.
WANCORE_API int wancore_junction(
    const void* x, int64_t x_stride,
    const void* first, int64_t first_stride, int64_t first_start, int64_t first_count,
    const void* first_gate, int64_t first_gate_stride, const void* first_strength, float first_factor,
    const void* second, int64_t second_stride, int64_t second_start, int64_t second_count,
    const void* second_gate, int64_t second_gate_stride, const void* second_strength, float second_factor,
    void* sum, const void* level,
    const void* shift, int64_t shift_stride, const void* scale, int64_t scale_stride,
    const void* weight, const void* bias, float eps,
    void* normed, void* codes, void* scales,
    int64_t rows, int64_t width, int64_t norm, int64_t dtype, void* stream) {
    if (rows == 0) return cudaSuccess;
    const Spread plan = spread(width / WIDTH);
    return with_type(dtype, [&](auto type) {
        using T = decltype(type);
        auto rows_of = [](const void* p) { return static_cast<const T*>(p); };
        auto table = [](const void* p) { return static_cast<const float*>(p); };
        const Junction<T> p{
            rows_of(x), x_stride,
            {{rows_of(first), first_stride, first_start, first_count, table(first_gate), first_gate_stride,
              table(first_strength), first_factor},
             {rows_of(second), second_stride, second_start, second_count, table(second_gate),
              second_gate_stride, table(second_strength), second_factor}},
            static_cast<T*>(sum), static_cast<const int32_t*>(level),
            table(shift), table(scale), shift_stride, scale_stride,
            rows_of(weight), rows_of(bias), eps,
            static_cast<T*>(normed), static_cast<uint8_t*>(codes), static_cast<float*>(scales), width / WIDTH};
        return with_share(plan.per_thread, [&](auto count) {
            constexpr int NV = decltype(count)::value;
            const auto s = static_cast<cudaStream_t>(stream);
            const bool updates = first || second;  // without them there is room for more rows at once
            auto kernel = norm == NONE        ? junction<T, NV, NONE, true>
                          : norm == MODULATED ? (updates ? junction<T, NV, MODULATED, true>
                                                         : junction<T, NV, MODULATED, false>)
                                              : (updates ? junction<T, NV, AFFINE, true>
                                                         : junction<T, NV, AFFINE, false>);
            kernel<<<rows, plan.threads, 0, s>>>(p);
            return cudaGetLastError();
        });
    });
}
