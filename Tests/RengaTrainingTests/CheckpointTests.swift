// CheckpointTests.swift: a resumed training ends with the bits of an uninterrupted one; damaged files are refused.
// Not here: killing the process (the ABI tests do).
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaTraining

final class CheckpointTests: XCTestCase {
    private func recipe(_ optimizer: OptimizerKind) -> Recipe {
        var recipe = Toy.recipe()
        recipe.optimizer = optimizer
        recipe.clipNorm = 2
        return recipe
    }

    /// Stopped at every callback, saved by the loop or by hand, and resumed with another number of threads.
    func testResumedAnywhereItEndsWithTheSameBits() throws {
        let train = try Toy.dataset(80)
        for optimizer in OptimizerKind.allCases {
            let whole = try Trainer(Toy.network(), recipe: recipe(optimizer))
            try whole.fit(train)
            let expected = try bits(whole.network())
            let scratch = try Scratch()
            let path = scratch.path + "/training.safetensors"
            for stop in 1...15 {
                let trainer = try Trainer(Toy.network(), recipe: recipe(optimizer))
                var calls = 0
                // Every second time the file is the one that fit wrote before its callback, one step apart from the end.
                let writesItself = stop % 2 == 0
                let checkpoint = writesItself ? CheckpointOptions(path: path, everySteps: 1) : nil
                expect(.cancelled) {
                    try trainer.fit(train, checkpoint: checkpoint) { _ in
                        calls += 1
                        return calls < stop
                    }
                }
                if !writesItself { try trainer.save(to: path) }
                let resumed = try Trainer(resuming: path, options: TrainerOptions(threads: 1 + stop % 2))
                XCTAssertEqual(resumed.recipe, trainer.recipe)
                XCTAssertEqual(resumed.history, trainer.history)
                XCTAssertEqual(resumed.steps, trainer.steps)
                XCTAssertEqual(try bits(resumed.network()), try bits(trainer.network()))
                try resumed.fit(train)
                XCTAssertEqual(try bits(resumed.network()), expected, "\(optimizer), stopped at callback \(stop)")
                XCTAssertEqual(resumed.history.map(\.loss), whole.history.map(\.loss))
            }
            XCTAssertEqual(scratch.names, ["training.safetensors"], "nothing half-written is left")
        }
    }

    func testACheckpointIsANetworkFile() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/t"
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        try trainer.fit(Toy.dataset(60), checkpoint: CheckpointOptions(path: path))
        let network = try NetworkFile(path: path).network
        XCTAssertEqual(bits(network), bits(try trainer.network()))
        XCTAssertEqual(network.metadata, try trainer.network().metadata)
    }

    func testASavedNetworkIsNotATraining() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/n"
        try NetworkFile(Toy.network()).save(to: path)
        expect(.corruptData, "no training") { _ = try Trainer(resuming: path) }
        expect(.fileError) { _ = try Trainer(resuming: scratch.path + "/absent") }
    }

    func testDamagedFilesAreRefused() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/t"
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        try trainer.fit(Toy.dataset(60), checkpoint: CheckpointOptions(path: path))
        let bytes = try scratch.read("t")
        for end in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 60) {
            let cut = try scratch.write("cut", Array(bytes[..<end]))
            expect(.corruptData) { _ = try Trainer(resuming: cut) }
        }
        for place in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 97) {
            var flipped = bytes
            flipped[place] ^= 0x10
            let file = try scratch.write("flipped", flipped)
            XCTAssertThrowsError(try Trainer(resuming: file), "byte \(place)")
        }
    }

    func testAFailedCheckpointStopsWithoutLosingTheTraining() throws {
        let train = try Toy.dataset(80)
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe())
        expect(.fileError) {
            try trainer.fit(train, checkpoint: CheckpointOptions(path: "/nonexistent/training", everySteps: 3))
        }
        XCTAssertEqual(trainer.steps, 3)
        try trainer.fit(train)
        let whole = try Trainer(Toy.network(), recipe: Toy.recipe())
        try whole.fit(train)
        XCTAssertEqual(try bits(trainer.network()), try bits(whole.network()))
    }

    func testAnotherSizeOfTrainingSetIsRefusedWhileUnderWay() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe())
        expect(.cancelled) { try trainer.fit(Toy.dataset(80)) { _ in false } }
        expect(.shapeMismatch, "4 batches", "5") { try trainer.fit(Toy.dataset(100)) }
    }

    /// A network may answer the validation set with NaN or infinity and train on: what fit saves must be what it resumes.
    func testATestLossThatIsNotFiniteIsResumed() throws {
        for loss in [Double.infinity, -.infinity, .nan] {
            let record = EpochRecord(
                epoch: 1, loss: 2, accuracy: 0.1, testAccuracy: 0.5, testLoss: loss, seconds: 1, learningRate: 0.1)
            let position = TrainingPosition(epoch: 1, step: 4, batches: 4)
            let state = CheckpointState(recipe: Toy.recipe(), position: position, records: [record])
            let read = try CheckpointState(state.encoded, path: "x")
            XCTAssertEqual("\(read.records)", "\(state.records)")
        }
    }

    func testStateSurvivesItsText() throws {
        var position = TrainingPosition()
        (position.epoch, position.batch, position.step, position.batches) = (2, 7, 41, 17)
        (position.lossSum, position.correct) = (0.1 + 0.2, 123)
        (position.seconds, position.earlierSeconds) = (1.0 / 3, 1e-17)
        let records = [
            EpochRecord(epoch: 1, loss: 2.5, accuracy: 0.1, seconds: 3, learningRate: 1e-9),
            EpochRecord(
                epoch: 2, loss: 1 / 7.0, accuracy: 1, testAccuracy: 0.25, testLoss: 0, seconds: 3, learningRate: 0),
        ]
        let state = CheckpointState(recipe: Toy.recipe(), position: position, records: records)
        XCTAssertEqual(try CheckpointState(state.encoded, path: "x"), state)
        for key in state.encoded.keys {
            var damaged = state.encoded
            damaged[key] = "9 9"
            XCTAssertThrowsError(try CheckpointState(damaged, path: "x"), key)
        }
    }
}
