// Products of e4m3 rows with an e4m3 matrix on Hopper's tensor cores, a scale for each row of both:
//   out[m, n] = x_scale[m] w_scale[n] sum over k of x[m, k] w[n, k], + bias[n].
//
// A tile is 128 rows of x and 256 of w, which two blocks of a cluster compute beside each other: each copies half of
// the rows of w to both. One warpgroup copies, two multiply, 64 rows of x each. cuBLASLt has tiles of this size for
// one scale in all, but for scales of rows only 128 x 128, which moves more bytes and takes more energy for each sum.

#include "common.cuh"
#include "hopper.cuh"

namespace {

constexpr int kRows = 128, kColumns = 256, kDepth = 128;  // of a tile; of a step
constexpr int kCluster = 2;
constexpr int kStages = 4;
constexpr int kConsumers = 2;
constexpr int kThreads = (kConsumers + 1) * 128;
constexpr int kX = kRows * kDepth, kW = kColumns * kDepth;  // bytes of a step
constexpr int kStage = kX + kW;
constexpr int kTables = 2 * 2 * kColumns * static_cast<int>(sizeof(float));
constexpr int kBytes = kStages * (kStage + 2 * static_cast<int>(sizeof(uint64_t))) + kTables;
constexpr int kGroup = 8;  // pairs of tiles along the rows, whose w is then still in the L2 cache

struct Problem {
    const float *x_scale, *w_scale;
    const bfloat_t* bias;  // or null
    bfloat_t* out;
    int rows, columns, steps;
    int pairs, tiles_n, tiles;  // of two blocks each
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

__device__ __forceinline__ void copy(const CUtensorMap* x, const CUtensorMap* w, const Problem& p, int block) {
    constexpr int kPart = kColumns / kCluster;
    int step = 0;
    for (int tile = blockIdx.x / kCluster; tile < p.tiles; tile += gridDim.x / kCluster) {
        const Place at = place(p, tile, block);
        for (int k = 0; k < p.steps; ++k, ++step) {
            const int s = step % kStages;
            hopper::barrier_wait(empty(s), (step / kStages + 1) & 1);
            hopper::barrier_expect(full(s), kStage);
            hopper::copy_2d(stage_of(s), x, full(s), k * kDepth, at.row);
            hopper::copy_2d_to((1 << kCluster) - 1, stage_of(s) + kX + block * kPart * kDepth, w, full(s),
                               k * kDepth, at.column + block * kPart);
        }
    }
}

// 64 rows of a tile: each warp 16, each lane two of them (r, r + 8), of which four lanes share the columns.
__device__ __forceinline__ void write(const Problem& p, const float (&acc)[kColumns / 2], const float4* tables, int row,
                                      int column) {
    const int lane = threadIdx.x % 32, q = lane % 4;
    row += threadIdx.x / 32 % 4 * 16 + lane / 4;
    const bool inside[2] = {row < p.rows, row + 8 < p.rows};
    const float scale[2] = {inside[0] ? __ldg(p.x_scale + row) : 0.f, inside[1] ? __ldg(p.x_scale + row + 8) : 0.f};
    bfloat_t* out = p.out + static_cast<int64_t>(row) * p.columns + column;
#pragma unroll
    for (int i = 0; i < kColumns / 8; i += 4) {
        uint32_t words[2][4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const float4 by = tables[(i + j) * 4 + q];  // scales of two columns, then their biases
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int at = (i + j) * 4 + 2 * half;
                const __nv_bfloat162 v = __floats2bfloat162_rn(fmaf(acc[at] * scale[half], by.x, by.z),
                                                               fmaf(acc[at + 1] * scale[half], by.y, by.w));
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

__device__ __forceinline__ void multiply(const Problem& p, int block, int warpgroup) {
    const int lane = threadIdx.x % 32;
    float acc[kColumns / 2];
    int step = 0, turn = 0;
    for (int tile = blockIdx.x / kCluster; tile < p.tiles; tile += gridDim.x / kCluster, turn ^= 1) {
        const Place at = place(p, tile, block);
        float* tables = tables_of(turn);
        if (const int column = at.column + threadIdx.x; column < p.columns) {
            float* mine = tables + threadIdx.x / 2 * 4 + threadIdx.x % 2;
            mine[0] = __ldg(p.w_scale + column);
            mine[2] = p.bias ? __bfloat162float(p.bias[column]) : 0.f;
        }
        const auto released = [&](int s) {  // by this warp, in every block of the cluster
            if (lane < kCluster) hopper::barrier_arrive_at(empty(s), lane);
        };
        for (int k = 0; k < p.steps; ++k, ++step) {
            const int s = step % kStages;
            hopper::barrier_wait(full(s), step / kStages & 1);
            const uint32_t base = hopper::shared_address(stage_of(s));
            const uint64_t x = hopper::descriptor<kDepth>(base + warpgroup * 64 * kDepth);
            const uint64_t w = hopper::descriptor<kDepth>(base + kX);
            hopper::multiply_begin();
#pragma unroll
            for (int i = 0; i < kDepth / 32; ++i) hopper::multiply_fp8(acc, x + 2 * i, w + 2 * i, k + i > 0);
            hopper::multiply_commit();
            if (k > 0) {  // the step before has been read
                hopper::multiply_wait<1>();
                released((step - 1) % kStages);
            }
        }
        hopper::multiply_wait<0>();
        released((step - 1) % kStages);
#pragma unroll
        for (int i = 0; i < kColumns / 2; ++i) hopper::pin(acc[i]);
        hopper::threads_sync<kConsumers * 128>();  // the tables are there
        write(p, acc, reinterpret_cast<const float4*>(tables), at.row + warpgroup * 64, at.column);
    }
}

__global__ void __launch_bounds__(kThreads, 1)
    product_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap w, const Problem p) {
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
        hopper::fewer_registers<24>();
        if (threadIdx.x % 128 == 0) copy(&x, &w, p, block);
    } else {
        hopper::more_registers<240>();
        multiply(p, block, warpgroup);
    }
    hopper::cluster_sync();  // nothing arrives in a block that has ended
#endif
}

}  // namespace

// x [rows, depth] and w [columns, depth] e4m3, scales float32, bias bfloat16 or null, out [rows, columns] bfloat16;
// all contiguous and aligned to 16 bytes; columns and depth multiples of 16; compute capability 9.0.
WANCORE_API int wancore_fp8_product(const void* x, const void* x_scale, const void* w, const void* w_scale,
                                    const void* bias, void* out, int64_t rows, int64_t columns, int64_t depth,
                                    cudaStream_t stream) {
    if (rows == 0) return cudaSuccess;
    if (columns % 16 || depth % 16 || depth == 0) return cudaErrorInvalidValue;
    int device = 0, processors = 0, major = 0, minor = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (major != 9 || minor != 0) return cudaErrorNotSupported;
    const uint64_t k = depth, x_sizes[] = {k, static_cast<uint64_t>(rows)},
                   w_sizes[] = {k, static_cast<uint64_t>(columns)};
    const uint32_t x_box[] = {kDepth, kRows}, w_box[] = {kDepth, kColumns / kCluster};
    CUtensorMap x_map, w_map;
    if (!hopper::describe<uint8_t, kDepth>(&x_map, x, 2, x_sizes, &k, x_box) ||
        !hopper::describe<uint8_t, kDepth>(&w_map, w, 2, w_sizes, &k, w_box))
        return cudaErrorInvalidValue;
    Problem p{static_cast<const float*>(x_scale), static_cast<const float*>(w_scale),
              static_cast<const bfloat_t*>(bias), static_cast<bfloat_t*>(out), static_cast<int>(rows),
              static_cast<int>(columns), static_cast<int>((depth + kDepth - 1) / kDepth)};
    p.pairs = static_cast<int>((rows + kCluster * kRows - 1) / (kCluster * kRows));
    p.tiles_n = static_cast<int>((columns + kColumns - 1) / kColumns);
    p.tiles = p.pairs * p.tiles_n;
    if (const cudaError_t error =
            cudaFuncSetAttribute(product_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes))
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
    if (const cudaError_t error = cudaOccupancyMaxActiveClusters(&resident, product_kernel, &launch)) return error;
    launch.gridDim = dim3((p.tiles < resident ? p.tiles : resident) * kCluster);
    return cudaLaunchKernelEx(&launch, product_kernel, x_map, w_map, p);
}
