// ChannelPad.swift: how zero channels are put around a map: a copy of the others.
import RengaNetwork

extension ChannelPad: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src between zero channels.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let c = emit.shape(step.inputs[0]).c
        let from = ChannelRange(buffer: try emit.input(step.inputs[0], of: step), c: c, offset: 0)
        let to = ChannelRange(buffer: try emit.value(step.output), c: emit.shape(step.output).c, offset: before)
        try emit.copyChannels(from, to: to, count: c, step, zeroRest: true)
    }

    /// dsrc: the channels of ddst that are not padding.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let c = emit.shape(step.inputs[0]).c
        let from = ChannelRange(buffer: try emit.gradient(step.output), c: emit.shape(step.output).c, offset: before)
        let to = ChannelRange(buffer: dsrc.buffer, c: c, offset: 0)
        try emit.copyChannels(from, to: to, count: c, step, accumulate: dsrc.accumulate, label: "backward")
    }
}
