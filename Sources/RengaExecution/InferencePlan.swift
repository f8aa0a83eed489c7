// InferencePlan.swift: the forward pass of a graph for one batch size, from the caller's pixels to the caller's results.
// Not here: batches below the plan's, locks, checks (Session).
import CRengaKernels
import RengaNetwork

/// A compiled forward pass. One run at a time.
struct InferencePlan {
    let compiled: CompiledPlan
    /// Arguments to patch before a run: where each input and output of the caller lies.
    let imports: [UnsafeMutablePointer<rk_image_import_args>]
    let exports: [UnsafeMutablePointer<rk_image_export_args>]

    /// Emits import, steps and export. `shared`: memory of a larger batch's plan.
    init(
        _ graph: Graph, _ steps: [FusedStep], _ settings: EmitterSettings, _ weights: ConstantStore,
        shared: PlanBuffers? = nil
    ) throws(RengaError) {
        var imports: [UnsafeMutablePointer<rk_image_import_args>] = []
        var exports: [UnsafeMutablePointer<rk_image_export_args>] = []
        compiled = try CompiledPlan(graph, settings, weights, shared: shared) { emit throws(RengaError) in
            try InferencePlan.emit(steps, emit, &imports, &exports)
        }
        self.imports = imports
        self.exports = exports
    }

    /// Bytes of the plan, without making it.
    static func memory(
        _ graph: Graph, _ steps: [FusedStep], _ settings: EmitterSettings, _ weights: ConstantStore
    ) throws(RengaError) -> PlanMemory {
        let measuring = Emitter(graph, settings, weights)
        var imports: [UnsafeMutablePointer<rk_image_import_args>] = []
        var exports: [UnsafeMutablePointer<rk_image_export_args>] = []
        try measuring.emitAll { emitter throws(RengaError) in try emit(steps, emitter, &imports, &exports) }
        return try ArenaPlan(measuring).memory
    }

    private static func emit(
        _ steps: [FusedStep], _ emit: Emitter, _ imports: inout [UnsafeMutablePointer<rk_image_import_args>],
        _ exports: inout [UnsafeMutablePointer<rk_image_export_args>]
    ) throws(RengaError) {
        let graph = emit.graph
        // The same copies that convert types and layouts align the caller's data and keep kernels off his memory.
        for index in graph.inputs.indices {
            if let args = try InferencePlan.emitImport(index, emit) { imports.append(args) }
        }
        for (group, step) in steps.enumerated() {
            try emit.emit(step, group: group)
        }
        try emit.flush()
        for value in graph.outputs {
            if let args = try InferencePlan.emitExport(value, emit) { exports.append(args) }
        }
    }

    private static func emitImport(
        _ index: Int, _ emit: Emitter
    ) throws(RengaError) -> UnsafeMutablePointer<rk_image_import_args>? {
        let shape = emit.shape(index)
        emit.begin(group: nil, name: "import \(emit.graph.inputs[index].name)")
        var args = rk_image_import_args()
        (args.n, args.h, args.w, args.c) = (Int64(shape.n), Int64(shape.h), Int64(shape.w), Int64(shape.c))
        (args.type, args.dst) = (emit.type(of: index), emit.pointer(try emit.value(index)))
        return try emit.add(rk_image_import, args)
    }

    private static func emitExport(
        _ value: ValueID, _ emit: Emitter
    ) throws(RengaError) -> UnsafeMutablePointer<rk_image_export_args>? {
        let shape = emit.shape(value)
        emit.begin(group: nil, name: "export \(emit.graph.name(of: value))")
        var args = rk_image_export_args()
        (args.n, args.h, args.w, args.c) = (Int64(shape.n), Int64(shape.h), Int64(shape.w), Int64(shape.c))
        args.type = emit.type(of: value)
        args.src = UnsafeRawPointer(emit.pointer(try emit.value(value)))
        return try emit.add(rk_image_export, args)
    }
}
