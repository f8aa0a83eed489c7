// Trainer.swift: training across the border.
// Not here: evaluation (Evaluation.swift); the loop, recipes, checkpoints (RengaTraining).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaExecution
import RengaNetwork
import RengaTraining

/// What a renga_trainer points to.
private final class TrainerObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_trainer"
    static let kind: UInt64 = 5

    let value: Trainer
    let gate = Gate()

    init(_ value: Trainer) { self.value = value }
}

@c @implementation
public func renga_recipes(_ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in Recipe.listJSONText }
}

@c @implementation
public func renga_trainer_options_init(_ options: UnsafeMutablePointer<renga_trainer_options>?, _ size: Int) {
    prepare(options, size: size, defaults: defaultOptions())
}

@c @implementation
public func renga_trainer_create(
    _ network: OpaquePointer?, _ recipe: UnsafePointer<CChar>?, _ threads: Int32,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    trainerOut(out) { () throws(RengaError) in
        let (network, recipe) = try subject(network, recipe)
        let options = TrainerOptions(threads: try threadCount(threads, "threads"))
        return try Trainer(network, recipe: recipe, options: options)
    }
}

@c @implementation
public func renga_trainer_create_with(
    _ network: OpaquePointer?, _ recipe: UnsafePointer<CChar>?, _ options: UnsafePointer<renga_trainer_options>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    trainerOut(out) { () throws(RengaError) in
        let (network, recipe) = try subject(network, recipe)
        return try Trainer(network, recipe: recipe, options: try TrainerOptions(options))
    }
}

@c @implementation
public func renga_trainer_resume(
    _ path: UnsafePointer<CChar>?, _ threads: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    trainerOut(out) { () throws(RengaError) in
        let path = try text(path, "path")
        return try Trainer(resuming: path, options: TrainerOptions(threads: try threadCount(threads, "threads")))
    }
}

@c @implementation
public func renga_trainer_resume_with(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<renga_trainer_options>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    trainerOut(out) { () throws(RengaError) in
        try Trainer(resuming: try text(path, "path"), options: try TrainerOptions(options))
    }
}

@c @implementation
public func renga_network_trainer_memory(
    _ network: OpaquePointer?, _ recipe: UnsafePointer<CChar>?, _ options: UnsafePointer<renga_trainer_options>?,
    _ memory: UnsafeMutablePointer<renga_memory>?
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(memory, "memory") { () throws(RengaError) in
            let (network, recipe) = try subject(network, recipe)
            return renga_memory(try Trainer.memory(of: network, recipe: recipe, options: try TrainerOptions(options)))
        }
    }
}

@c @implementation
public func renga_trainer_free(_ trainer: OpaquePointer?) {
    freeHandle(trainer, as: TrainerObject.self)
}

@c @implementation
public func renga_trainer_fit(
    _ trainer: OpaquePointer?, _ train: OpaquePointer?, _ test: OpaquePointer?, _ checkpoint: UnsafePointer<CChar>?,
    _ progress: renga_progress_fn?, _ user_data: UnsafeMutableRawPointer?
) -> renga_status {
    running(trainer) { (trainer) throws(RengaError) in
        let train = try object(train, "train", as: DatasetObject.self).value
        let test: Dataset? = test == nil ? nil : try object(test, "test", as: DatasetObject.self).value
        let checkpoint = try optionalText(checkpoint, "checkpoint").map { CheckpointOptions(path: $0) }
        guard let progress else { return try trainer.fit(train, validation: test, checkpoint: checkpoint) }
        try trainer.fit(train, validation: test, checkpoint: checkpoint) { now in
            withUnsafePointer(to: renga_progress(now)) { progress($0, user_data) == 0 }
        }
    }
}

@c @implementation
public func renga_trainer_step(
    _ trainer: OpaquePointer?, _ src: UnsafePointer<renga_source>?, _ labels: UnsafePointer<Int32>?,
    _ out_loss: UnsafeMutablePointer<Double>?, _ out_correct: UnsafeMutablePointer<Int64>?
) -> renga_status {
    out_loss?.pointee = 0
    out_correct?.pointee = 0
    return running(trainer) { (trainer) throws(RengaError) in
        let source = try Source(src, "src")
        let labels = try required(labels, "labels")
        // Checked before a label is read: so many labels as images are promised, and a wrong number of images is refused.
        guard source.shape.n == trainer.recipe.batchSize else {
            throw RengaError(
                .shapeMismatch, "src->shape.n is \(source.shape.n); the recipe's batch is \(trainer.recipe.batchSize)")
        }
        let result = try trainer.step(
            InputView(source), labels: UnsafeBufferPointer(start: labels, count: source.shape.n))
        out_loss?.pointee = result.loss
        out_correct?.pointee = Int64(result.correct)
    }
}

@c @implementation
public func renga_trainer_network(
    _ trainer: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    networkOut(out) { () throws(RengaError) in
        try reading(trainer) { (trainer) throws(RengaError) in try trainer.network() }
    }
}

@c @implementation
public func renga_trainer_history(
    _ trainer: OpaquePointer?, _ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in
        try reading(trainer) { (trainer) throws(RengaError) in trainer.historyJSONText }
    }
}

@c @implementation
public func renga_trainer_gates(
    _ trainer: OpaquePointer?, _ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in
        try reading(trainer) { (trainer) throws(RengaError) in trainer.gatesJSONText }
    }
}

@c @implementation
public func renga_trainer_force_gates(_ trainer: OpaquePointer?, _ gates: UnsafePointer<CChar>?) -> renga_status {
    running(trainer) { (trainer) throws(RengaError) in
        try trainer.forceGates(text: try optionalText(gates, "gates"))
    }
}

@c @implementation
public func renga_trainer_profile(
    _ trainer: OpaquePointer?, _ runs: Int32, _ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in
        let runs = try number(runs, "runs", in: 1...Int(RENGA_MAX_RUNS))
        return try reading(trainer) { (trainer) throws(RengaError) in
            StepProfile.jsonText(try trainer.profile(runs: runs), trainer.recipe.precision)
        }
    }
}

@c @implementation
public func renga_trainer_memory(
    _ trainer: OpaquePointer?, _ memory: UnsafeMutablePointer<renga_memory>?
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(memory, "memory") { () throws(RengaError) in
            renga_memory(try reading(trainer) { (trainer) throws(RengaError) in trainer.memory })
        }
    }
}

@c @implementation
public func renga_trainer_save(_ trainer: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> renga_status {
    guarded { () throws(RengaError) in
        try reading(trainer) { (trainer) throws(RengaError) in try trainer.save(to: try text(path, "path")) }
    }
}

/// What a host gets that names nothing.
private func defaultOptions() -> renga_trainer_options {
    renga_trainer_options(
        size: MemoryLayout<renga_trainer_options>.size, memory_budget: 0, threads: 0, algorithm: nil, tune: 0)
}

/// What is to be trained and how.
private func subject(
    _ network: OpaquePointer?, _ recipe: UnsafePointer<CChar>?
) throws(RengaError) -> (network: Network, recipe: Recipe) {
    let network = try object(network, "network", as: NetworkObject.self).value
    let recipe = try optionalText(recipe, "recipe").map { text throws(RengaError) in try Recipe(text: text) }
    return (network, recipe ?? Recipe())
}

extension TrainerOptions {
    fileprivate init(_ options: UnsafePointer<renga_trainer_options>?) throws(RengaError) {
        let given = try read(options, "options", defaults: defaultOptions())
        let budget = try number(given.memory_budget, "options->memory_budget", in: 0...Int.max)
        self.init(
            threads: try threadCount(given.threads, "options->threads"), memoryBudget: budget == 0 ? nil : budget)
        algorithm = try optionalText(given.algorithm, "options->algorithm")
        tune = try number(given.tune, "options->tune", in: 0...1) == 1
    }
}

extension renga_memory {
    fileprivate init(_ bytes: TrainerMemory) {
        self.init()
        weights = Int64(bytes.parameters + bytes.gradients + bytes.optimizer)
        activations = Int64(bytes.activations + bytes.batch)
        scratch = Int64(bytes.scratch)
        activations_lower_bound = Int64(bytes.activationsLowerBound)
        parameters = Int64(bytes.parameters)
        gradients = Int64(bytes.gradients)
        optimizer = Int64(bytes.optimizer)
        batch = Int64(bytes.batch)
        kept = Int64(bytes.keptBytes)
        recomputed_layers = Int64(bytes.recomputedLayers)
        recomputed_macs = Int64(bytes.recomputedMACs)
    }
}

extension renga_progress {
    fileprivate init(_ now: TrainingProgress) {
        self.init(
            size: MemoryLayout<renga_progress>.size, epoch: Int64(now.epoch), epochs: Int64(now.epochs),
            batch: Int64(now.batch), batches: Int64(now.batches), step: Int64(now.step),
            images_per_second: now.imagesPerSecond, loss: now.loss, accuracy: now.accuracy,
            learning_rate: now.learningRate, seconds: now.seconds, seconds_left: now.secondsLeft,
            test_accuracy: now.testAccuracy ?? .nan, epoch_ended: now.epochEnded ? 1 : 0)
    }
}

// ---- one call at a time, without waiting ----

private func trainerOut(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(RengaError) -> Trainer
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(TrainerObject(try body()))
    }
}

/// A call that changes the trainer: refused while any other is at work.
private func running(_ handle: OpaquePointer?, _ body: (Trainer) throws(RengaError) -> Void) -> renga_status {
    guarded { () throws(RengaError) in
        let trainer = try object(handle, "trainer", as: TrainerObject.self)
        try trainer.gate.enter(mayNest: false)
        defer { trainer.gate.leave() }
        try body(trainer.value)
    }
}

/// A call that only reads: allowed within this trainer's own callback, refused while another thread is at work.
private func reading<Result>(
    _ handle: OpaquePointer?, _ body: (Trainer) throws(RengaError) -> Result
) throws(RengaError) -> Result {
    let trainer = try object(handle, "trainer", as: TrainerObject.self)
    try trainer.gate.enter(mayNest: true)
    defer { trainer.gate.leave() }
    return try body(trainer.value)
}
