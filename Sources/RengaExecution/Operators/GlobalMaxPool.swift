// GlobalMaxPool.swift: how the maximum over the whole map runs: as a pooling with one window.
// Not here: the kernels' arguments (PoolKernels.swift).
import CRengaKernels
import RengaNetwork

extension GlobalMaxPool: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src `[N,H,W,C]`, dst `[N,1,1,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).forward(emit, rk_max_pool)
    }

    /// dsrc: the gradient goes to the first maximum, found again in src.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).backward(emit, rk_max_pool_backward, readsSource: true)
    }

    private func kernels(_ step: FusedStep, _ emit: Emitter) -> PoolKernels {
        let shape = emit.shape(step.inputs[0])
        var window = Window(kernel: 1)
        (window.kernelH, window.kernelW) = (shape.h, shape.w)
        return PoolKernels(step: step, window: window, countIncludePad: false)
    }
}
