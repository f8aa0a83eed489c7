// AveragePool.swift: how average pooling runs.
// Not here: the kernels' arguments (PoolKernels.swift), which windows there are (RengaNetwork: Window).
import CRengaKernels
import RengaNetwork

extension AveragePool: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src `[N,H,W,C]`, dst `[N,OH,OW,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let kernels = PoolKernels(step: step, window: window, countIncludePad: countIncludePad)
        try kernels.forward(emit, rk_average_pool)
    }

    /// dsrc: each window's gradient in equal parts.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let kernels = PoolKernels(step: step, window: window, countIncludePad: countIncludePad)
        try kernels.backward(emit, rk_average_pool_backward, readsSource: false)
    }
}
