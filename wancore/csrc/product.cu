// Products of rows with a matrix on Hopper's tensor cores, in bfloat16 or in e4m3 with a scale for each row of both:
//   out[m, n] = x_scale[m] w_scale[n] sum over k of x[m, k] w[n, k], + sum over r of h[m, r] up[n, r], + bias[n],
// where a low-rank branch (h, up, in bfloat16) is summed in the same registers, and GELU may follow.
//
// A tile is 128 rows of x and 256 of w, which two blocks of a cluster compute beside each other: each copies half of
// the rows of w to both. One warpgroup copies, two multiply, 64 rows of x each. cuBLASLt has tiles of this size for
// one scale in all, but for scales of rows only 128 x 128, which moves more bytes and takes more energy for each sum.

#include "activation.cuh"
#include "common.cuh"
#include "hopper.cuh"

namespace {

using fp8_t = __nv_fp8_e4m3;

constexpr int kRows = 128, kColumns = 256;  // of a tile
constexpr int kLine = 128;                  // bytes of a row that a step reads
constexpr int kCluster = 2;
constexpr int kStages = 4;
constexpr int kConsumers = 2;
constexpr int kThreads = (kConsumers + 1) * 128;
constexpr int kX = kRows * kLine, kW = kColumns * kLine;  // bytes of a step
constexpr int kStage = kX + kW;
constexpr int kTables = 2 * 2 * kColumns * static_cast<int>(sizeof(float));
constexpr int kBytes = kStages * (kStage + 2 * static_cast<int>(sizeof(uint64_t))) + kTables;
constexpr int kGroup = 8;  // pairs of tiles along the rows, whose w is then still in the L2 cache

template <typename T> constexpr int kDepth = kLine / static_cast<int>(sizeof(T));  // of a step
template <typename T> constexpr bool kScaled = sizeof(T) == 1;

struct Problem {
    const float *x_scale, *w_scale;  // of e4m3
    const bfloat_t* bias;            // or null
    bfloat_t* out;
    int rows, columns, steps, branch_steps;
    int pairs, tiles_n, tiles;  // of two blocks each
};

struct Maps {
    CUtensorMap x, w, h, up;
};

struct Place {
    int row, column;
};

__device__ __forceinline__ Place place(const Problem& p, int tile, int block) {
    const int group = tile / (kGroup * p.tiles_n), first = group * kGroup;
    const int size = p.pairs - first < kGroup ? p.pairs - first : kGroup, within = tile - first * p.tiles_n;
    return {((first + within % size) * kCluster + block) * kRows, within / size * kColumns};
}

extern __shared__ __align__(1024) char memory[];  // stages, tables, barriers

__device__ __forceinline__ char* stage_of(int s) { return memory + s * kStage; }

// Of a tile's columns, for every two: scales, then biases. Two turns: the next tile's do not wait for this one's.
__device__ __forceinline__ float* tables_of(int turn) {
    return reinterpret_cast<float*>(memory + kStages * kStage) + turn * 2 * kColumns;
}

__device__ __forceinline__ uint64_t* full(int s) {
    return reinterpret_cast<uint64_t*>(memory + kStages * kStage + kTables) + s;
}

__device__ __forceinline__ uint64_t* empty(int s) { return full(kStages + s); }

template <typename T>
__device__ __forceinline__ void copy_steps(const CUtensorMap* x, const CUtensorMap* w, int count, int& step, Place at,
                                           int block) {
    constexpr int kPart = kColumns / kCluster;
    for (int k = 0; k < count; ++k, ++step) {
        const int s = step % kStages;
        hopper::barrier_wait(empty(s), (step / kStages + 1) & 1);
        hopper::barrier_expect(full(s), kStage);
        hopper::copy_2d(stage_of(s), x, full(s), k * kDepth<T>, at.row);
        hopper::copy_2d_to((1 << kCluster) - 1, stage_of(s) + kX + block * kPart * kLine, w, full(s), k * kDepth<T>,
                           at.column + block * kPart);
    }
}

template <typename T> __device__ __forceinline__ void copy(const Maps& maps, const Problem& p, int block) {
    int step = 0;
    for (int tile = blockIdx.x / kCluster; tile < p.tiles; tile += gridDim.x / kCluster) {
        const Place at = place(p, tile, block);
        copy_steps<T>(&maps.x, &maps.w, p.steps, step, at, block);
        copy_steps<bfloat_t>(&maps.h, &maps.up, p.branch_steps, step, at, block);
    }
}

using Sums = float[kColumns / 2];  // of a lane: two rows (r, r + 8) of 64, whose columns four lanes share

template <typename T>
__device__ __forceinline__ void multiply_steps(Sums& sums, int count, int& step, bool first, int warpgroup) {
    const auto released = [&](int s) {  // by this warp, in every block of the cluster
        if (const int lane = threadIdx.x % 32; lane < kCluster) hopper::barrier_arrive_at(empty(s), lane);
    };
    for (int k = 0; k < count; ++k, ++step) {
        const int s = step % kStages;
        hopper::barrier_wait(full(s), step / kStages & 1);
        const uint32_t base = hopper::shared_address(stage_of(s));
        const uint64_t x = hopper::descriptor<kLine>(base + warpgroup * 64 * kLine);
        const uint64_t w = hopper::descriptor<kLine>(base + kX);
        hopper::multiply_begin();
#pragma unroll
        for (int i = 0; i < kLine / 32; ++i) hopper::multiply_wide(sums, x + 2 * i, w + 2 * i, !first || k + i > 0, T{});
        hopper::multiply_commit();
        if (k > 0) {  // the step before has been read
            hopper::multiply_wait<1>();
            released((step - 1) % kStages);
        }
    }
    hopper::multiply_wait<0>();
    released((step - 1) % kStages);
#pragma unroll
    for (int i = 0; i < kColumns / 2; ++i) hopper::pin(sums[i]);
}

__device__ __forceinline__ int own_row() { return threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4; }

__device__ __forceinline__ float row_scale(const Problem& p, int row) {
    return row < p.rows ? __ldg(p.x_scale + row) : 0.f;
}

__device__ __forceinline__ void apply_scales(const Problem& p, Sums& sums, const float4* tables, int row) {
    row += own_row();
    const float scale[2] = {row_scale(p, row), row_scale(p, row + 8)};
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
        const float4 by = tables[i * 4 + threadIdx.x % 4];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            sums[i * 4 + 2 * half] *= scale[half] * by.x;
            sums[i * 4 + 2 * half + 1] *= scale[half] * by.y;
        }
    }
}

// With `scaled`, scales are still to be applied.
template <bool scaled, int activation>
__device__ __forceinline__ void write(const Problem& p, const Sums& sums, const float4* tables, int row, int column) {
    const int q = threadIdx.x % 4;
    row += own_row();
    const bool inside[2] = {row < p.rows, row + 8 < p.rows};
    const float scale[2] = {scaled ? row_scale(p, row) : 1.f, scaled ? row_scale(p, row + 8) : 1.f};
    bfloat_t* out = p.out + static_cast<int64_t>(row) * p.columns + column;
#pragma unroll
    for (int i = 0; i < kColumns / 8; i += 4) {
        uint32_t words[2][4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const float4 by = tables[(i + j) * 4 + q];  // scales of two columns, then their biases
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const float *sum = sums + (i + j) * 4 + 2 * half, s = scale[half];
                const float a = scaled ? fmaf(sum[0] * s, by.x, by.z) : sum[0] + by.z;
                const float b = scaled ? fmaf(sum[1] * s, by.y, by.w) : sum[1] + by.w;
                const __nv_bfloat162 v = __floats2bfloat162_rn(activated<bfloat_t, activation>(a),
                                                               activated<bfloat_t, activation>(b));
                words[half][j] = *reinterpret_cast<const uint32_t*>(&v);
            }
        }
        const int from = (i + q) * 8;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const auto& w = words[half];
            const uint4 value = hopper::transposed(w[0], w[1], w[2], w[3], q);
            if (inside[half] && column + from < p.columns)
                *reinterpret_cast<uint4*>(out + half * 8 * static_cast<int64_t>(p.columns) + from) = value;
        }
    }
}

template <typename T, bool branch, int activation>
__device__ __forceinline__ void multiply(const Problem& p, int block, int warpgroup) {
    Sums sums;
    int step = 0, turn = 0;
    for (int tile = blockIdx.x / kCluster; tile < p.tiles; tile += gridDim.x / kCluster, turn ^= 1) {
        const Place at = place(p, tile, block);
        float* tables = tables_of(turn);
        const auto* ready = reinterpret_cast<const float4*>(tables);
        if (const int column = at.column + threadIdx.x; column < p.columns) {
            float* mine = tables + threadIdx.x / 2 * 4 + threadIdx.x % 2;
            if (kScaled<T>) mine[0] = __ldg(p.w_scale + column);
            mine[2] = p.bias ? __bfloat162float(p.bias[column]) : 0.f;
        }
        const int row = at.row + warpgroup * 64;
        if constexpr (kScaled<T> && branch) {
            multiply_steps<T>(sums, p.steps, step, true, warpgroup);
            hopper::threads_sync<kConsumers * 128>();  // the tables are there
            apply_scales(p, sums, ready, row);
            multiply_steps<bfloat_t>(sums, p.branch_steps, step, false, warpgroup);
        } else {
            multiply_steps<T>(sums, p.steps + p.branch_steps, step, true, warpgroup);
            hopper::threads_sync<kConsumers * 128>();
        }
        write<kScaled<T> && !branch, activation>(p, sums, ready, row, at.column);
    }
}

template <typename T, bool branch, int activation>
__global__ void __launch_bounds__(kThreads, 1) product(const __grid_constant__ Maps maps, const Problem p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    if (threadIdx.x == 0) {
        for (int s = 0; s < kStages; ++s) {
            hopper::barrier_init(full(s), 1);
            hopper::barrier_init(empty(s), kConsumers * 4 * kCluster);
        }
        hopper::barrier_fence();
    }
    hopper::cluster_sync();
    const int block = hopper::block_in_cluster(), warpgroup = threadIdx.x / 128;
    if (warpgroup == kConsumers) {
        hopper::fewer_registers<40>();
        if (threadIdx.x % 128 == 0) copy<T>(maps, p, block);
    } else {
        hopper::more_registers<232>();
        multiply<T, branch, activation>(p, block, warpgroup);
    }
    hopper::cluster_sync();  // nothing arrives in a block that has ended
#endif
}

// `lines`: of the rows, in a box.
template <typename T> bool describe(CUtensorMap* map, const void* data, int64_t rows, int64_t depth, uint32_t lines) {
    const uint64_t sizes[] = {static_cast<uint64_t>(depth), static_cast<uint64_t>(rows)};
    const uint32_t box[] = {kDepth<T>, lines};
    return hopper::describe<T, kLine>(map, data, 2, sizes, sizes, box);
}

template <typename T, bool branch, int activation>
cudaError_t launch(const Maps& maps, const Problem& p, int processors, cudaStream_t stream) {
    const auto kernel = product<T, branch, activation>;
    if (const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes))
        return error;
    cudaLaunchAttribute cluster;
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = kCluster;
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    cudaLaunchConfig_t launch{};
    launch.gridDim = dim3(processors / kCluster * kCluster);
    launch.blockDim = dim3(kThreads);
    launch.dynamicSmemBytes = kBytes;
    launch.stream = stream;
    launch.attrs = &cluster;
    launch.numAttrs = 1;
    int resident = 0;  // clusters at a time
    if (const cudaError_t error = cudaOccupancyMaxActiveClusters(&resident, kernel, &launch)) return error;
    launch.gridDim = dim3((p.tiles < resident ? p.tiles : resident) * kCluster);
    return cudaLaunchKernelEx(&launch, kernel, maps, p);
}

}  // namespace

// x [rows, depth] and w [columns, depth], both bfloat16, or e4m3 with scales in float32; bias bfloat16 or null;
// h [rows, rank] and up [columns, rank] bfloat16, null with rank 0; out [rows, columns] bfloat16. All contiguous and
// aligned to 16 bytes; columns a multiple of 16, depth and rank of what 16 bytes hold; compute capability 9.0.
WANCORE_API int wancore_product(const void* x, const void* x_scale, const void* w, const void* w_scale,
                                const void* bias, const void* h, const void* up, void* out, int64_t rows,
                                int64_t columns, int64_t depth, int64_t rank, int64_t gelu, cudaStream_t stream) {
    if (rows == 0) return cudaSuccess;
    const bool fp8 = x_scale != nullptr;
    if (columns % 16 || depth % (fp8 ? 16 : 8) || depth == 0 || rank % 8) return cudaErrorInvalidValue;
    int device = 0, processors = 0, major = 0, minor = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (major != 9 || minor != 0) return cudaErrorNotSupported;
    Problem p{static_cast<const float*>(x_scale), static_cast<const float*>(w_scale),
              static_cast<const bfloat_t*>(bias), static_cast<bfloat_t*>(out), static_cast<int>(rows),
              static_cast<int>(columns)};
    p.branch_steps = static_cast<int>((rank + kDepth<bfloat_t> - 1) / kDepth<bfloat_t>);
    p.pairs = static_cast<int>((rows + kCluster * kRows - 1) / (kCluster * kRows));
    p.tiles_n = static_cast<int>((columns + kColumns - 1) / kColumns);
    p.tiles = p.pairs * p.tiles_n;
    Maps maps{};
    constexpr uint32_t kPart = kColumns / kCluster;
    const auto described = [&](auto type) {
        using T = decltype(type);
        p.steps = static_cast<int>((depth + kDepth<T> - 1) / kDepth<T>);
        return describe<T>(&maps.x, x, rows, depth, kRows) && describe<T>(&maps.w, w, columns, depth, kPart);
    };
    if (!(fp8 ? described(fp8_t{}) : described(bfloat_t{})) ||
        (rank && !(describe<bfloat_t>(&maps.h, h, rows, rank, kRows) &&
                   describe<bfloat_t>(&maps.up, up, columns, rank, kPart))))
        return cudaErrorInvalidValue;
    if (!fp8) return gelu ? launch<bfloat_t, true, GELU_TANH>(maps, p, processors, stream)
                          : launch<bfloat_t, true, IDENTITY>(maps, p, processors, stream);
    if (gelu) return cudaErrorNotSupported;
    return rank ? launch<fp8_t, true, IDENTITY>(maps, p, processors, stream)
                : launch<fp8_t, false, IDENTITY>(maps, p, processors, stream);
}
