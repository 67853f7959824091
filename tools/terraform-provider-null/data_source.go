package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// nullDataSource hands its inputs back as outputs.
type nullDataSource struct{}

type dataSourceModel struct {
	ID                 types.String `tfsdk:"id"`
	Inputs             types.Map    `tfsdk:"inputs"`
	Outputs            types.Map    `tfsdk:"outputs"`
	Random             types.String `tfsdk:"random"`
	HasComputedDefault types.String `tfsdk:"has_computed_default"`
}

func (nullDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "null_data_source"
}

func (nullDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Description: "Always \"static\".",
				Computed:    true,
			},
			"inputs": schema.MapAttribute{
				Description: "Values to hand back as outputs.",
				ElementType: types.StringType,
				Optional:    true,
			},
			"outputs": schema.MapAttribute{
				Description: "The inputs, once the data source is read.",
				ElementType: types.StringType,
				Computed:    true,
			},
			"random": schema.StringAttribute{
				Description: "A random number, new at every read.",
				Computed:    true,
			},
			"has_computed_default": schema.StringAttribute{
				Description: "Its own value when set, otherwise \"default\".",
				Optional:    true,
				Computed:    true,
			},
		},
	}
}

func (nullDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model dataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	model.ID = types.StringValue("static")
	model.Outputs = model.Inputs
	model.Random = types.StringValue(randomNumber())
	if model.HasComputedDefault.IsNull() {
		model.HasComputedDefault = types.StringValue("default")
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
