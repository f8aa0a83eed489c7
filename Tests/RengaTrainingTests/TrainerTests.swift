// TrainerTests.swift: that training learns, is the same for any thread count and each run, stops where told and refuses what does not fit.
// Not here: numbers against PyTorch (GoldenTests), files (CheckpointTests).
import RengaData
import RengaExecution
import RengaNetwork
import RengaTraining
import TestSupport
import XCTest

final class TrainerTests: XCTestCase {
    // MARK: - Learning

    func testLearnsAToyProblem() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 6))
        var reports: [TrainingProgress] = []
        try trainer.fit(Toy.dataset(400), validation: Toy.dataset(200, seed: 2)) {
            reports.append($0)
            return true
        }
        let history = trainer.history
        XCTAssertEqual(history.map(\.epoch), Array(1...6))
        XCTAssertGreaterThan(try XCTUnwrap(history.last?.testAccuracy), 0.95)
        XCTAssertLessThan(history[5].loss, history[0].loss)
        let evaluation = try Evaluation(of: trainer.network(), on: Toy.dataset(200, seed: 2))
        XCTAssertEqual(evaluation.accuracy, history[5].testAccuracy)
        XCTAssertEqual(evaluation.loss, history[5].testLoss)
        checkProgress(reports, epochs: 6, batches: 20)
    }

    private func checkProgress(_ reports: [TrainingProgress], epochs: Int, batches: Int) {
        XCTAssertEqual(reports.count, epochs * (batches + 1))
        XCTAssertEqual(reports.count { $0.epochEnded }, epochs)
        XCTAssertEqual(reports.last?.step, epochs * batches)
        XCTAssertEqual(reports.last?.secondsLeft, 0)
        for (earlier, later) in zip(reports, reports.dropFirst()) {
            XCTAssertGreaterThanOrEqual(later.seconds, earlier.seconds)
            XCTAssertEqual(later.step, earlier.step + (later.epochEnded ? 0 : 1))
        }
        for report in reports {
            XCTAssertEqual(report.testAccuracy != nil, report.epochEnded)
            XCTAssertGreaterThan(report.imagesPerSecond, 0)
            XCTAssert((0...1).contains(report.accuracy))
            XCTAssertEqual(report.step, (report.epoch - 1) * batches + report.batch)
        }
    }

    func testAdamWLearnsToo() throws {
        var recipe = Toy.recipe(epochs: 6)
        recipe.optimizer = .adamw
        recipe.learningRate = 0.005
        let trainer = try Trainer(Toy.network(), recipe: recipe)
        try trainer.fit(Toy.dataset(400, element: .f32))
        XCTAssertGreaterThan(
            try Evaluation(of: trainer.network(), on: Toy.dataset(200, seed: 2, element: .f32)).accuracy, 0.95)
    }

    func testEvaluationCountsLikeItsMatrix() throws {
        let network = try Toy.network()
        let dataset = try Toy.dataset(307)
        let evaluation = try Evaluation(of: network, on: dataset)
        XCTAssertEqual(evaluation.n, 307)
        XCTAssertEqual(evaluation.confusion.reduce(0, +), 307)
        XCTAssertEqual((0..<4).reduce(0) { $0 + evaluation.confusion[$1 * 5] }, evaluation.correct)
        for label in 0..<4 {
            let images = dataset.withLabels { $0.count { Int($0) == label } }
            XCTAssertEqual(evaluation.confusion[label * 4..<label * 4 + 4].reduce(0, +), images)
            XCTAssertEqual(
                evaluation.classAccuracy[label], Double(evaluation.confusion[label * 5]) / Double(images))
        }
        let one = try Evaluation(of: network, on: dataset.subset(0..<1))
        XCTAssertEqual(one.classAccuracy.count { $0 != nil }, 1)
    }

    /// A softmax rounds small probabilities to 0: one image that is wrong for sure must not make the mean infinite.
    func testASureMistakeOfASoftmaxHasAFiniteLoss() throws {
        var builder = NetworkBuilder()
        let image = try builder.addInput(h: 1, w: 1, c: 1)
        let logits = try builder.add(Linear(channels: 2, bias: false), name: "fc", image)
        let answers = try builder.add(Softmax(), logits)
        var network = try builder.build(outputs: [answers])
        try network.setParameter("fc.weight", Tensor(dimensions: [1, 2], values: [0, 300]))
        let dataset = try Dataset(
            copying: [1 as Float], labels: [0 as Int32], shape: Shape(n: 1, h: 1, w: 1, c: 1), element: .f32,
            layout: .nhwc, classes: 2)
        let evaluation = try Evaluation(of: network, on: dataset)
        XCTAssertEqual(evaluation.correct, 0)
        XCTAssertEqual(evaluation.loss, 87.3, accuracy: 0.1)
    }

    // MARK: - Same bits

    func testThreadsAndRunsGiveTheSameBits() throws {
        func trained(threads: Int) throws -> [String: [UInt32]] {
            let trainer = try Trainer(
                Toy.network(), recipe: Toy.recipe(epochs: 2), options: TrainerOptions(threads: threads))
            try trainer.fit(Toy.dataset(100))
            return try bits(trainer.network())
        }
        let first = try trained(threads: 1)
        XCTAssertNotEqual(first, bits(try Toy.network()))
        XCTAssertEqual(try trained(threads: 1), first)
        XCTAssertEqual(try trained(threads: 2), first)
        XCTAssertEqual(try trained(threads: 3), first)
    }

    func testSeedChangesTheRun() throws {
        func trained(seed: Int) throws -> [String: [UInt32]] {
            var recipe = Toy.recipe(epochs: 1)
            recipe.seed = seed
            let trainer = try Trainer(Toy.network(), recipe: recipe)
            try trainer.fit(Toy.dataset(100))
            return try bits(trainer.network())
        }
        XCTAssertNotEqual(try trained(seed: 1), try trained(seed: 2))
    }

    // MARK: - Cancelling

    func testCancelledAnywhereItGoesOnToTheSameEnd() throws {
        let train = try Toy.dataset(80)
        let test = try Toy.dataset(40, seed: 2)
        let whole = try Trainer(Toy.network(), recipe: Toy.recipe())
        try whole.fit(train, validation: test)
        let expected = try bits(whole.network())

        // Three epochs of four batches: 15 callbacks.
        for stop in 1...15 {
            let trainer = try Trainer(Toy.network(), recipe: Toy.recipe())
            var calls = 0
            expect(.cancelled, "callback") {
                try trainer.fit(train, validation: test) { _ in
                    calls += 1
                    return calls < stop
                }
            }
            XCTAssertEqual(calls, stop)
            XCTAssertEqual(trainer.steps, stop - (stop - 1) / 5 - (stop % 5 == 0 ? 1 : 0))
            try trainer.fit(train, validation: test)
            XCTAssertEqual(try bits(trainer.network()), expected, "stopped at callback \(stop)")
            XCTAssertEqual(trainer.history.map(\.loss), whole.history.map(\.loss))
            XCTAssertEqual(trainer.history.map(\.testAccuracy), whole.history.map(\.testAccuracy))
        }
    }

    func testCallbackMayReadButNotRunItsTrainer() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        let train = try Toy.dataset(60)
        var failures: [Status] = []
        var seen: [String: [UInt32]] = [:]
        try trainer.fit(train) { _ in
            do { try trainer.fit(train) } catch { failures.append((error as? RengaError)?.status ?? .internalFault) }
            if let network = try? trainer.network() { seen = bits(network) }
            return true
        }
        XCTAssertEqual(failures, Array(repeating: .busy, count: 4))
        XCTAssertEqual(seen, bits(try trainer.network()))
    }

    func testAFinishedTrainingStaysAsItIs() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        try trainer.fit(Toy.dataset(60))
        let before = try bits(trainer.network())
        try trainer.fit(Toy.dataset(60)) { _ in
            XCTFail("nothing is left to report")
            return true
        }
        XCTAssertEqual(try bits(trainer.network()), before)
    }

    // MARK: - What does not fit

    func testWrongDataIsRefusedAndNothingMoves() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe())
        let before = try bits(trainer.network())
        let good = try Toy.dataset(40)
        expect(.invalidArgument, "19", "20") { try trainer.fit(Toy.dataset(19)) }
        let larger = try Dataset(
            copying: [Float](repeating: 0, count: 40 * 72), labels: [Int32](repeating: 0, count: 40),
            shape: Shape(n: 40, h: 9, w: 8, c: 1), element: .f32, layout: .nhwc, classes: 4)
        expect(.shapeMismatch, "training", "9", "8") { try trainer.fit(larger) }
        expect(.shapeMismatch, "validation") { try trainer.fit(good, validation: larger) }
        let more = try Dataset(
            copying: [Float](repeating: 0, count: 40 * 72), labels: [Int32](repeating: 4, count: 40),
            shape: Shape(n: 40, h: 8, w: 9, c: 1), element: .f32, layout: .nhwc, classes: 5)
        expect(.shapeMismatch, "5 classes", "4") { try trainer.fit(more) }
        expect(.invalidArgument, "every 0") {
            try trainer.fit(good, checkpoint: CheckpointOptions(path: "/nonexistent/x", everySteps: 0))
        }
        XCTAssertEqual(try bits(trainer.network()), before)
        XCTAssertEqual(trainer.steps, 0)
    }

    func testWrongNetworksAreRefused() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 4, w: 4, c: 1)
        let map = try builder.add(Convolution(channels: 2, window: Window(kernel: 1)), input)
        expect(.unsupported, "[1,4,4,2]") { _ = try Trainer(builder.build(outputs: [map])) }
        expect(.unsupported, "one output") { _ = try Trainer(builder.build(outputs: [map, map])) }
        expect(.invalidArgument, "threads") {
            _ = try Trainer(Toy.network(), options: TrainerOptions(threads: 0))
        }
        var recipe = Recipe()
        recipe.epochs = 0
        expect(.invalidArgument, "epochs") { _ = try Trainer(Toy.network(), recipe: recipe) }
    }

    func testRunawayTrainingIsStoppedAtItsLastGoodStep() throws {
        var recipe = Toy.recipe()
        recipe.learningRate = 1e6
        let trainer = try Trainer(Toy.network(dropout: false), recipe: recipe)
        expect(.notFinite, "step", "learning rate") { try trainer.fit(Toy.dataset(200)) }
        let stopped = trainer.steps
        XCTAssertLessThan(stopped, 30)
        // The same step fails again: nothing moved, and nothing is NaN.
        expect(.notFinite, "step \(stopped + 1) ") { try trainer.fit(Toy.dataset(200)) }
        for (name, parameter) in try trainer.network().parameters {
            XCTAssert(parameter.tensor.values.allSatisfy(\.isFinite), name)
        }
    }

    // MARK: - Memory

    func testPeakBytesCoverTheState() throws {
        let network = try Toy.network()
        let floats = network.parameters.values.filter { $0.role.isTrainable }.reduce(0) { $0 + $1.tensor.count }
        var recipe = Toy.recipe()
        let sgd = try Trainer(network, recipe: recipe)
        // Parameters, gradients, velocity.
        XCTAssertGreaterThan(sgd.peakBytes, 3 * 4 * floats)
        recipe.optimizer = .adamw
        XCTAssertGreaterThanOrEqual(try Trainer(network, recipe: recipe).peakBytes, sgd.peakBytes + 4 * floats)
    }
}
