// RecipeTests.swift: recipes as text and back, their bounds and presets.
import RengaNetwork
import RengaTraining
import TestSupport
import XCTest

final class RecipeTests: XCTestCase {
    func testTextSetsWhatItNames() throws {
        let recipe = try Recipe(
            text: "fast,epochs=3,batch=64,optimizer=adamw,learning_rate=0.25,nesterov=no,seed=7,precision=bf16")
        XCTAssertEqual(recipe.epochs, 3)
        XCTAssertEqual(recipe.batchSize, 64)
        XCTAssertEqual(recipe.optimizer, .adamw)
        XCTAssertEqual(recipe.learningRate, 0.25)
        XCTAssertFalse(recipe.nesterov)
        XCTAssertEqual(recipe.seed, 7)
        XCTAssertEqual(recipe.precision, .bf16)
        XCTAssertEqual(recipe.schedule.shape, .onecycle, "from the preset")
        XCTAssertEqual(try Recipe(text: ""), Recipe())
        XCTAssertEqual(try Recipe(text: "epochs=3").epochs, 3)
        XCTAssertEqual(try Recipe(text: "default"), Recipe())
    }

    func testEncodedReadsBackEqual() throws {
        var recipe = try Recipe(preset: "resnet-cifar")
        recipe.learningRate = 0.1 + 0.2
        recipe.schedule.warmupStart = 1.0 / 3
        recipe.schedule.thirdDrop = 0.9
        recipe.clipNorm = 1e-300
        recipe.decayNorm = false
        recipe.seed = .max
        XCTAssertEqual(try Recipe(attributes: recipe.encoded), recipe)
        XCTAssertEqual(recipe.encoded.count, Recipe.options.count)
    }

    func testEveryOptionChangesTheRecipe() throws {
        for option in Recipe.options {
            let text =
                switch option.kind {
                case .integer(let bounds): "\(bounds.lowerBound + 3)"
                case .number(let bounds): "\((bounds.lowerBound + bounds.upperBound) / 3)"
                case .flag: option.defaultText == "yes" ? "no" : "yes"
                case .choice(let words): words.first { $0 != option.defaultText } ?? ""
                default: ""
                }
            let recipe = try Recipe(attributes: [option.name: text])
            XCTAssertNotEqual(recipe, Recipe(), option.name)
            XCTAssertEqual(recipe.encoded.filter { $0.value != Recipe().encoded[$0.key] }.keys.sorted(), [option.name])
        }
    }

    func testWrongTextIsRefusedAndNamed() {
        expect(.notFound, "'epoch'", "epochs") { _ = try Recipe(text: "epoch=3") }
        expect(.notFound, "'slow'", "fast", "resnet-cifar") { _ = try Recipe(text: "slow,epochs=3") }
        expect(.invalidArgument, "epochs", "1...1000000", "'0'") { _ = try Recipe(text: "epochs=0") }
        expect(.invalidArgument, "learning_rate", "'nan'") { _ = try Recipe(text: "learning_rate=nan") }
        expect(.invalidArgument, "batch", "'99999999999999999999'") {
            _ = try Recipe(text: "batch=99999999999999999999")
        }
        expect(.invalidArgument, "optimizer", "sgd", "adamw") { _ = try Recipe(text: "optimizer=lion") }
        expect(.invalidArgument, "name=value") { _ = try Recipe(text: "fast,epochs") }
        expect(.invalidArgument, "twice") { _ = try Recipe(text: "epochs=1,epochs=2") }
    }

    func testFieldsOutOfBoundsAreRefused() {
        var recipe = Recipe()
        recipe.labelSmoothing = .nan
        expect(.invalidArgument, "label_smoothing") { _ = try recipe.validated() }
        recipe = Recipe()
        recipe.batchSize = -1
        expect(.invalidArgument, "batch") { _ = try recipe.validated() }
    }

    /// The kernels compute in f32: no option within its bounds may become a beta of 1, whose step divides by 0.
    func testLargestMomentsStillTrain() throws {
        expect(.invalidArgument, "beta2") { _ = try Recipe(text: "beta2=0.999999999") }
        var recipe = Toy.recipe(epochs: 1)
        (recipe.optimizer, recipe.learningRate) = (.adamw, 1e-3)
        for option in Recipe.options {
            guard case .number(let bounds) = option.kind, ["beta1", "beta2"].contains(option.name) else { continue }
            try recipe.set([option.name: "\(bounds.upperBound)"])
        }
        XCTAssertGreaterThan(recipe.beta2, 0.999)
        let trainer = try Trainer(Toy.network(), recipe: recipe)
        try trainer.fit(Toy.dataset(40))
        for (name, parameter) in try trainer.network().parameters {
            XCTAssertTrue(parameter.tensor.values.allSatisfy(\.isFinite), name)
        }
    }

    func testPresetsAreValid() throws {
        for preset in RecipePreset.all {
            let recipe = try Recipe(preset: preset.name)
            XCTAssertEqual(try recipe.validated(), recipe)
        }
        XCTAssertEqual(try Recipe(preset: "default"), Recipe())
    }

    /// The papers' recipes: batch, epochs, the rate as each epoch (counted from 1) begins, decay of everything, augmentation.
    func testRecipesOfThePapers() throws {
        let rows:
            [(name: String, batch: Int, epochs: Int, rates: [Int: Double], pad: Int, flip: Bool, nesterov: Bool)] = [
                (
                    "dmrnet-cifar", 64, 400, [1: 0.1, 200: 0.1, 201: 0.01, 301: 1e-3, 350: 1e-3, 351: 1e-4], 4, true,
                    true
                ),
                ("dmrnet-svhn", 64, 40, [1: 0.1, 20: 0.1, 21: 0.01, 31: 1e-3, 36: 1e-4, 40: 1e-4], 0, false, true),
                ("dmrnet-imagenet", 256, 100, [1: 0.1, 30: 0.1, 31: 0.01, 61: 1e-3, 91: 1e-4], 0, true, false),
                (
                    "pyramidnet-cifar10", 128, 300, [1: 0.1, 149: 0.1, 150: 0.01, 224: 0.01, 225: 1e-3, 300: 1e-3], 4,
                    true, true
                ),
                ("pyramidnet-cifar100", 128, 300, [149: 0.5, 150: 0.05, 225: 5e-3], 4, true, true),
                ("pyramidnet-imagenet", 128, 100, [1: 0.05, 31: 5e-3, 91: 5e-5], 0, true, true),
                ("sepdrop-cifar", 128, 300, [1: 0.5, 149: 0.5, 150: 0.05, 224: 0.05, 225: 5e-3], 4, true, true),
            ]
        for row in rows {
            let recipe = try Recipe(preset: row.name)
            XCTAssertEqual(recipe.batchSize, row.batch, row.name)
            XCTAssertEqual(recipe.epochs, row.epochs, row.name)
            XCTAssertEqual(recipe.optimizer, .sgd)
            XCTAssertEqual([recipe.momentum, recipe.weightDecay], [0.9, 1e-4], row.name)
            XCTAssertEqual(
                [recipe.nesterov, recipe.decayNorm, recipe.decayBias], [row.nesterov, true, true], row.name)
            XCTAssertEqual(recipe.augmentPad, row.pad, row.name)
            XCTAssertEqual(recipe.augmentFlip, row.flip, row.name)
            for (epoch, rate) in row.rates {
                for step in [(epoch - 1) * 10, epoch * 10 - 1] {
                    let factor = recipe.schedule.factor(step: step, stepsPerEpoch: 10, epochs: recipe.epochs)
                    XCTAssertEqual(
                        recipe.learningRate * factor, rate, accuracy: 1e-9 * rate, "\(row.name), epoch \(epoch)")
                }
            }
        }
        // Each can be overridden.
        XCTAssertEqual(try Recipe(text: "dmrnet-cifar,epochs=3,flip=no").epochs, 3)
    }
}
