// Emitter+Bands.swift: how steps come into bands: steps that treat images apart wait until one comes that does not; what waited is tried
// for one image, to learn what a chunk would need, and becomes a band where that stays in cache.
// Not here: where a band's buffers lie (ArenaLayout), how it runs (runtime_band.c).
//
// While binding, the steps of a band are emitted for the first chunk in the first thread's slot, once more for the second chunk and once
// more for the second slot: a word of the arguments that differs is an address, and the difference is how it moves.
import CRengaKernels
import RengaNetwork

/// How a pass of an operator may run.
package enum Locality: Sendable {
    /// Every image by itself: its steps may be part of a band.
    case images
    /// The operator says it itself, part by part (`Emitter.local`, `Emitter.whole`).
    case parts
    /// All images at once.
    case batch
}

extension Emitter {
    /// Runs a whole emission, what waits at its end included. What waits and recipes hold on to the emitter: they are let go, also of an
    /// emission that fails.
    func emitAll(_ emission: (Emitter) throws(RengaError) -> Void) throws(RengaError) {
        defer { (pending, recipes) = ([], [:]) }
        try emission(self)
        try flush()
    }

    /// Emits one pass of a fused step, now or in a band to come.
    func emit(_ step: FusedStep, group: Int, _ passage: Passage = .forward) throws(RengaError) {
        let op = try graph.nodes[step.node].executable()
        begin(group: group, name: graph.nodes[step.node].name, passage)
        let backward = passage == .backward
        func run() throws(RengaError) {
            if passage == .recomputation { forget(step.output) }
            guard backward else { return try op.forward(step, self) }
            try op.backward(step, self)
            try settleGradients()
        }
        if passage == .recomputation {
            // It needs nothing that waits, and must not change what becomes a band: bits would change with it. What comes back for all
            // of its readers need not be computed for each.
            recipes[step.output] = nil
            return try run()
        }
        switch settings.bands == .never ? .batch : op.locality(step, self, backward: backward) {
        case .images:
            try op.prepare(step, self, backward: backward)
            try local(run)
        case .parts: try run()
        case .batch: try whole(run)
        }
    }

    /// Steps that treat each image by itself and touch no buffers of others: part of the next band.
    func local(_ add: @escaping () throws(RengaError) -> Void) throws(RengaError) {
        pending.append(DeferredSteps(context: context, add: add))
    }

    /// Steps for the whole team, behind everything that waits.
    func whole(_ add: () throws(RengaError) -> Void) throws(RengaError) {
        try flush()
        try add()
    }

    /// Steps behind the band being emitted, for all of its chunks.
    func behind(_ add: @escaping () throws(RengaError) -> Void) {
        guard let band, !band.isProbe else { return }
        band.behind.append(DeferredSteps(context: context, add: add))
    }

    /// Says how a value is computed once more in the backward pass: where a band there needs it, it need not be kept.
    func recipe(_ value: ValueID, _ add: @escaping () throws(RengaError) -> Void) {
        var context = context
        context.passage = .recomputation
        recipes[value] = DeferredSteps(context: context, add: add)
    }

    /// Whether a value is there in the backward pass without being computed once more.
    func isKept(_ value: ValueID) -> Bool { recipes[value] == nil }

    /// A buffer with a part for each chunk of the band being emitted (or one part, outside), by name.
    func chunked(_ name: String, floats: Int) throws(RengaError) -> BufferID {
        if let known = names.named[name] { return known }
        // Parts begin on a cache line.
        let part = (floats + 15) / 16 * 16
        let (total, overflow) = part.multipliedReportingOverflow(by: band?.view.chunks ?? 1)
        let extent = BufferExtent.chunks(images: band?.view.images ?? batch)
        let made = try buffer(name, elements: overflow ? -1 : total, type: RK_F32, extent)
        names.named[name] = made
        return made
    }

    /// Of a buffer made by `chunked`: its parts, the images of each but the last, and the floats from one to the next.
    func parts(_ buffer: BufferID) -> (count: Int, images: Int, step: Int) {
        let record = records[buffer.index]
        guard case .chunks(let images) = record.extent, images > 0 else { return (1, batch, 0) }
        let count = (batch + images - 1) / images
        return (count, images, record.bytes / MemoryLayout<Float>.stride / count)
    }

    /// Whether an image of these values leaves room in cache for more, and so many floats of weights for them.
    func fits(_ values: [ValueID], weights: Int = 0) -> Bool {
        guard settings.bands == .byRule else { return true }
        let floats = values.reduce(0) { $0 + graph.shapes[$1].countPerImage }
        let bytes = values.reduce(0) { $0 + graph.shapes[$1].countPerImage * types[$1].bytes }
        guard bytes <= settings.cache / 2 else { return false }
        // Winograd's weights are four times as many, and each chunk reads those of all layers anew (in training it has sums of their
        // gradients besides): that should be little beside the images.
        return 16 * weights <= settings.cache / 2 && 8 * weights <= floats * batch
    }

    // MARK: - What waited

    /// Emits what waits: as a band where that pays, else step by step.
    func flush() throws(RengaError) {
        guard band == nil, !pending.isEmpty else { return }
        let waiting = pending
        pending = []
        let index = bands.count
        let emission: BandEmission?
        if let layout {
            bands.append(nil)
            emission = try layout.band(index).map { plan throws(RengaError) in try bind(waiting, plan) }
        } else {
            emission = try measure(waiting)
        }
        guard let emission else {
            for steps in waiting { try run(steps) }
            return
        }
        for steps in emission.behind { try run(steps) }
    }

    private func run(_ steps: DeferredSteps) throws(RengaError) {
        let outside = context
        context = steps.context
        defer { context = outside }
        try steps.add()
    }

    /// Notes what the steps need as a band; nil where they should not be one.
    private func measure(_ waiting: [DeferredSteps]) throws(RengaError) -> BandEmission? {
        let before = names
        let trial = try emit(waiting, BandEmission(BandView(images: 1, chunks: batch), isTrial: true))
        names = before
        let training = settings.purpose == .training
        let sizes = sizes(trial)
        // Results of training may depend on the chunks, so these do not on the threads. In inference, weights that go by but once a chunk
        // need not stay in cache with it; four images at a time fill the products' tiles, also where some of their maps do not stay.
        let room = training ? settings.cache : max(settings.cache / 2, min(settings.cache, 4 * sizes.image) / 3 * 4)
        let chosen = BandEmission.images(
            settings.bands, batch: batch, cache: room, fewest: training ? 16 : 2 * settings.threads,
            imageBytes: sizes.image, sharedBytes: training ? sizes.shared : 0)
        guard let images = chosen else {
            bands.append(nil)
            return nil
        }
        let view = BandView(images: images, chunks: (batch + images - 1) / images)
        let real = try emit(waiting, BandEmission(view))
        bands.append(
            BandRecord(
                step: stepCount, images: images, chunks: view.chunks, touches: real.touches,
                replacements: real.replacements, scratchFloats: real.scratchFloats))
        stepCount += 1
        return real
    }

    /// The most bytes of one image that are alive at any step of a trial, and the most that a step reads besides.
    private func sizes(_ trial: BandEmission) -> (image: Int, shared: Int) {
        var image = [Int](repeating: 0, count: trial.step + 1)
        var shared = image
        for (index, range) in trial.touches {
            switch records[index].extent {
            case .images: for step in range { image[step] += records[index].bytes / batch }
            case .whole: for step in [range.lowerBound, range.upperBound] { shared[step] += records[index].bytes }
            case .chunks: break
            }
        }
        return (image.max() ?? 0, shared.max() ?? 0)
    }

    private func bind(_ waiting: [DeferredSteps], _ plan: BandPlan) throws(RengaError) -> BandEmission {
        let before = names
        var view = BandView(images: plan.images, chunks: plan.chunks)
        let first = try emit(waiting, BandEmission(view))
        let after = names
        func again(_ view: BandView, _ known: [UnsafeMutableRawPointer]?) throws(RengaError) -> [BandStepDraft] {
            names = before
            return try emit(waiting, BandEmission(view, isAgain: true, known: known)).drafts
        }
        (view.chunk, view.firstImage) = (1, plan.images)
        let chunk = try again(view, first.kept)
        (view.chunk, view.firstImage, view.slot) = (0, 0, 1)
        let slot = try again(view, first.kept)
        var tail: [BandStepDraft]?
        let rest = batch - (plan.chunks - 1) * plan.images
        if rest < plan.images {
            let last = plan.chunks - 1
            tail = try again(
                BandView(images: rest, chunks: plan.chunks, chunk: last, firstImage: last * plan.images), nil)
        }
        names = after
        stepCount += 1
        try program.addBand(plan.chunks, first.drafts, nextChunk: chunk, nextSlot: slot, tail: tail)
        return first
    }

    /// Emits steps for one view of a band.
    private func emit(_ waiting: [DeferredSteps], _ emission: BandEmission) throws(RengaError) -> BandEmission {
        let outside = names.values
        band = emission
        defer { band = nil }
        for steps in waiting {
            // Sizes of chunks do not depend on what is kept, nor then do the bits.
            if !emission.isTrial { try recompute(steps, emission) }
            try run(steps)
        }
        for value in emission.recomputed { names.values[value] = outside[value] }
        return emission
    }

    /// Before `steps`: what they read and what can be computed once more instead of having been kept.
    private func recompute(_ steps: DeferredSteps, _ emission: BandEmission) throws(RengaError) {
        guard isBackward, !recipes.isEmpty else { return }
        let before = names
        (emission.isProbe, emission.wanted) = (true, [])
        try run(steps)
        emission.isProbe = false
        names = before
        for value in emission.wanted where !emission.recomputed.contains(value) {
            guard var recipe = recipes[value] else { continue }
            recipe.context.reader = steps.context.reader ?? steps.context.group
            emission.recomputed.insert(value)
            try recompute(recipe, emission)
            names.values[value] = try map("again " + graph.name(of: value), like: value)
            try run(recipe)
        }
    }
}
