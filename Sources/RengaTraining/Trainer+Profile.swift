// Trainer+Profile.swift: where the time of a training step goes, kernel by kernel.
// Not here: anything that decides by it.
import CRengaKernels
import Glibc
public import RengaExecution
public import RengaNetwork

extension Trainer {
    /// Takes `runs` steps (at least one) at rate 0 with a copy of this training, on the batch of its last step (zeros before the first); each
    /// kernel's time in the fastest run, in order. This trainer stays as it is; the copy doubles the memory meanwhile.
    /// Errors: outOfMemory.
    public func profile(runs: Int) throws(RengaError) -> [StepProfile] {
        try lock.reading { () throws(RengaError) in
            var options = options
            options.threads = threads
            if !options.isByRule { options.keep(plan.algorithms) }
            let copy = try Trainer(snapshot(), recipe: recipe, options: options)
            copy.optimizer.rate.pointee = 0
            copy.optimizer.time.pointee = 1
            memcpy(copy.plan.src, plan.src, plan.inputShape.count * MemoryLayout<Float>.stride)
            for image in 0..<plan.inputShape.n { copy.plan.labels[image] = plan.labels[image] }
            return copy.plan.profile(runs: runs).map { info, seconds in
                let (layer, work) = Trainer.parts(of: info.name)
                return StepProfile(
                    name: layer, operation: work, algorithm: info.algorithm ?? "", seconds: seconds, macs: info.macs,
                    bytes: info.bytes)
            }
        }
    }

    /// "conv1: backward weight" is the work "backward weight" of the layer "conv1"; without a colon it is the forward pass, or a
    /// step around the network.
    private static func parts(of name: String) -> (layer: String, work: String) {
        guard let colon = name.lastIndex(of: ":") else { return (name, "") }
        return (String(name[..<colon]), String(name[name.index(after: colon)...].drop { $0 == " " }))
    }
}
