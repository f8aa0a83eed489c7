// Add.swift: how the sum of maps runs where no step before it could take it in.
// Not here: the kernels' arguments (SumKernels.swift), sums inside other steps (ConvolutionKernels.swift, BatchNorm.swift).
import RengaNetwork

extension Add: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// The ReLU behind it.
    package func fusible(_ purpose: Purpose) -> Fusible { .relu }

    /// dst = relu?(src[0] + src[1] + …), or src[0] with a map of fewer channels added to its first ones.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard step.add == nil else {
            try emit.copy(try emit.input(step.inputs[0], of: step), to: try emit.value(step.output), "copy")
            return try emit.addFewer(step)
        }
        try SumKernels(step: step, scale: 1).forward(emit)
    }

    /// Each input gets ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try SumKernels(step: step, scale: 1).backward(emit)
        try emit.passGradient(try emit.gradient(step.output), toAddOf: step)
    }
}
