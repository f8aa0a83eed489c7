// Pad.swift: how a pad runs: a gather by one table an axis.
import RengaNetwork

extension Pad: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src with more or fewer rows, columns and channels.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).forward(emit)
    }

    /// dsrc: the sum of ddst over the places that an element stands in.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try kernels(step, emit).backward(emit)
    }

    private func kernels(_ step: FusedStep, _ emit: Emitter) -> GatherKernels {
        let src = emit.shape(step.inputs[0])
        return GatherKernels(
            step: step, value: value, row: { source(of: $0, h, size: src.h) ?? -1 },
            column: { source(of: $0, w, size: src.w) ?? -1 }, channel: { source(of: $0, c, size: src.c) ?? -1 })
    }
}
