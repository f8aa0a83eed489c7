// ChannelSlice.swift: how a slice of the channels runs: a copy of them.
import RengaNetwork

extension ChannelSlice: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// Channels begin ..< begin + count of src.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let from = ChannelRange(
            buffer: try emit.input(step.inputs[0], of: step), c: emit.shape(step.inputs[0]).c, offset: begin)
        let to = ChannelRange(buffer: try emit.value(step.output), c: count, offset: 0)
        try emit.copyChannels(from, to: to, count: count, step)
    }

    /// ddst in its channels of dsrc, zeros in the others.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let from = ChannelRange(buffer: try emit.gradient(step.output), c: count, offset: 0)
        let to = ChannelRange(buffer: dsrc.buffer, c: emit.shape(step.inputs[0]).c, offset: begin)
        try emit.copyChannels(
            from, to: to, count: count, step, accumulate: dsrc.accumulate, zeroRest: !dsrc.accumulate, label: "backward"
        )
    }
}
