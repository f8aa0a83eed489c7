// Flatten.swift: how a flatten runs: not at all. The memory of a map is already that of the vector.
import CRengaKernels
import RengaNetwork

extension Flatten: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst is src under another shape.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard order == .nhwc else { throw RengaError(.unsupported, "flatten: no kernel runs order=nchw") }
        emit.place(step.output, in: try emit.input(step.inputs[0], of: step))
    }

    /// dsrc is ddst under another shape.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try emit.passGradient(try emit.gradient(step.output), to: step.inputs[0])
    }
}
