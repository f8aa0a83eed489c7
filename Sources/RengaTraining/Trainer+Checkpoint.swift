// Trainer+Checkpoint.swift: everything a training needs to go on bit for bit, as a network file with more tensors and metadata.
// Not here: the file's form and its atomic replacement (RengaFormats), the text of position and history (CheckpointState).
import Glibc
import RengaExecution
import RengaFormats
import RengaNetwork

extension Trainer {
    /// Saves everything: parameters, running statistics, the optimiser's state, position, recipe, history. The file is also a
    /// network file. It is replaced atomically; on any failure what stood at `path` is untouched. Errors: fileError.
    public func save(to path: String) throws(RengaError) {
        try lock.reading { () throws(RengaError) in try write(to: path) }
    }

    /// Loads a training as ``save(to:)`` or `fit` left it; resumed, it ends with the bits of an uninterrupted one.
    /// Errors: fileError, corruptData (also a file that holds a network but no training), unsupported (from a newer version; an algorithm that
    /// this machine does not have), invalidArgument (algorithms in `options`: those of the training stay).
    public convenience init(resuming path: String, options: TrainerOptions = TrainerOptions()) throws(RengaError) {
        guard options.isByRule else {
            throw RengaError(.invalidArgument, "a resumed training keeps the algorithms that it began with")
        }
        let file = try NetworkFile(path: path)
        let state = try CheckpointState(file.metadata, path: path)
        var options = options
        options.keep(state.algorithms)
        try self.init(file.network, recipe: state.recipe, options: options)
        let layers = Set(file.network.nodes.map(\.name))
        let isOfNetwork = state.algorithms.keys.allSatisfy { pass in
            pass.indices.contains { pass[$0] == ":" && layers.contains(String(pass[..<$0])) }
        }
        guard isOfNetwork, state.algorithms.isEmpty || state.algorithms == plan.algorithms else {
            throw RengaError(.corruptData, "'\(path)': the record of algorithms is not of this network")
        }
        try takeOptimizerState(file.tensors, path: path)
        position = state.position
        epochRecords = state.records
    }

    func write(to path: String) throws(RengaError) {
        var tensors: [String: Tensor] = [:]
        for (name, buffer) in optimizer.state {
            for slot in plan.trainable {
                var tensor = try Tensor(dimensions: slot.dimensions)
                tensor.withUnsafeMutableValues { values in
                    _ = values.update(fromContentsOf: UnsafeBufferPointer(slot, in: buffer))
                }
                tensors[Trainer.stateName(name, slot)] = tensor
            }
        }
        let state = CheckpointState(
            recipe: recipe, position: position, records: epochRecords,
            algorithms: options.isByRule ? [:] : plan.algorithms)
        try NetworkFile(snapshot(), tensors: tensors, metadata: state.encoded).save(to: path)
    }

    private func takeOptimizerState(_ tensors: [String: Tensor], path: String) throws(RengaError) {
        for (name, buffer) in optimizer.state {
            for slot in plan.trainable {
                let fullName = Trainer.stateName(name, slot)
                guard let tensor = tensors[fullName], tensor.dimensions == slot.dimensions else {
                    throw RengaError(
                        .corruptData, "'\(path)': the optimiser's state '\(fullName)' \(slot.dimensions) is missing")
                }
                tensor.withUnsafeValues { values in
                    _ = UnsafeMutableBufferPointer(slot, in: buffer).update(fromContentsOf: values)
                }
            }
        }
        guard tensors.count == optimizer.state.count * plan.trainable.count else {
            throw RengaError(
                .corruptData, "'\(path)' holds tensors that belong neither to the network nor to its optimiser")
        }
    }

    private static func stateName(_ name: String, _ slot: TrainingPlan.Slot) -> String {
        "optimizer.\(name).\(slot.name)"
    }
}

extension TrainerOptions {
    /// Each pass takes what it took before.
    mutating func keep(_ algorithms: [String: String]) {
        (algorithm, tune, self.algorithms) = (nil, false, algorithms)
    }
}

extension UnsafeMutableBufferPointer<Float> {
    /// The slot's part of a flat blob.
    fileprivate init(_ slot: TrainingPlan.Slot, in buffer: Buffer) {
        self.init(start: buffer.floats + slot.offset, count: slot.count)
    }
}

extension UnsafeBufferPointer<Float> {
    /// The slot's part of a flat blob.
    fileprivate init(_ slot: TrainingPlan.Slot, in buffer: Buffer) {
        self.init(UnsafeMutableBufferPointer(slot, in: buffer))
    }
}
