// MaxPool.swift: how max pooling runs.
// Not here: the kernels' arguments (PoolKernels.swift), which windows there are (RengaNetwork: Window).
import CRengaKernels
import RengaNetwork

extension MaxPool: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src `[N,H,W,C]`, dst `[N,OH,OW,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try PoolKernels(step: step, window: window, countIncludePad: false).forward(emit, rk_max_pool)
    }

    /// dsrc: each window's gradient goes to its first maximum, found again in src.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let kernels = PoolKernels(step: step, window: window, countIncludePad: false)
        try kernels.backward(emit, rk_max_pool_backward, readsSource: true)
    }
}
