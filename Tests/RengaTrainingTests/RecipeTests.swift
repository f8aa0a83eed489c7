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
}
