// Scale.swift: how a factor and an offset for each channel run where no convolution before them could take them in.
// Not here: the kernels' arguments (ScaleShiftKernels.swift), folding (RengaRewrites).
import CRengaKernels
import RengaNetwork

extension Scale: Executable {
    /// A sum with its own input would need two gradients of one value in one kernel.
    package func fusible(_ purpose: Purpose) -> Fusible { [.add, .relu] }

    /// Images apart, but for the gradients of the parameters.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        let maps = step.inputs + [step.output] + (step.add.map { [$0] } ?? [])
        return !backward && emit.fits(maps) ? .images : .batch
    }

    /// dst = relu?(gamma[c] src + beta[c] + add).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        var args = try ScaleShiftKernels(step: step).arguments(emit)
        args.scale = UnsafePointer(emit.floats(try emit.parameter(step.node, "gamma")))
        args.shift = UnsafePointer(emit.floats(try emit.parameter(step.node, "beta")))
        try emit.add(rk_scale_shift, args)
    }

    /// As a batch norm whose statistics are mean 0 and variance 1.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let c = emit.shape(step.output).c
        try ScaleShiftKernels(step: step).backward(emit, frozen: true, hasParameters: true) { () throws(RengaError) in
            (try emit.channels(c, of: 0), try emit.channels(c, of: 1))
        }
    }
}
